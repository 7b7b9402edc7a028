-- Where the steps of a pool run that do not say so, nor does their pipeline. Without a row, as processes.
create table pool_executors (
    pool     text primary key,
    executor text not null check (executor in ('process', 'docker', 'kubernetes'))
);
