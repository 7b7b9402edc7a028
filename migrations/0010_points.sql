-- Points, params and tags of runs, kept so that they are written, found and read fast. Why it is as it is, and what it
-- costs: docs/tracking-store.md. Nothing was released that knows the tables it replaces.

-- Keys of what is logged, by number. A key belongs to an experiment, so that an index over a key's values holds the runs
-- of that experiment alone, and the columns of an experiment's table are a range of an index.
create table log_keys (
    id            integer generated always as identity primary key,
    experiment_id bigint not null references experiments (id),
    kind          text not null check (kind in ('metric', 'param', 'tag')),
    name          text collate "C" not null,
    unique (experiment_id, kind, name)
);

insert into log_keys (experiment_id, kind, name)
select r.experiment_id, 'metric', k.name
from latest_metrics l
join runs r on r.key = l.run_key
join metric_keys k on k.id = l.metric_id
union
select r.experiment_id, 'param', p.key
from params p
join runs r on r.key = p.run_key
union
select r.experiment_id, 'tag', t.key
from run_tags t
join runs r on r.key = t.run_key;

-- One more with every change of the run or of what was logged to it: what is remembered of a run is good while its
-- version is the same. Room on its page keeps a change of it there.
alter table runs add column version bigint not null default 0;
alter table runs set (fillfactor = 80);

alter table params rename to params_by_name;
create table params (
    run_key bigint not null references runs (key),
    key_id  integer not null,
    value   text collate "C" not null,
    primary key (run_key, key_id)
);
insert into params (run_key, key_id, value)
select p.run_key, k.id, p.value
from params_by_name p
join runs r on r.key = p.run_key
join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'param' and k.name = p.key;
drop table params_by_name;
-- Of a long value, as much as an index takes.
create index params_value on params (key_id, (left(value, 250)));

alter table run_tags rename to run_tags_by_name;
create table run_tags (
    run_key bigint not null references runs (key),
    key_id  integer not null,
    value   text collate "C" not null,
    primary key (run_key, key_id)
);
insert into run_tags (run_key, key_id, value)
select t.run_key, k.id, t.value
from run_tags_by_name t
join runs r on r.key = t.run_key
join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'tag' and k.name = t.key;
drop table run_tags_by_name;
create index run_tags_value on run_tags (key_id, (left(value, 250)));

-- Points as they come, of any metrics of a run: the form is that of `points::journal`. What lies here is packed into
-- chunks from time to time; what is too little for a chunk is put together here, which counts as packed too.
create table metric_journal (
    run_key bigint not null,
    packed  boolean not null default false,
    points  bytea not null
);
-- A row stays in its page as it is; only what is larger than a page goes elsewhere.
alter table metric_journal set (toast_tuple_target = 8160);
alter table metric_journal alter column points set storage external;
create index metric_journal_run on metric_journal (run_key);
create index metric_journal_unpacked on metric_journal (run_key) where not packed;

-- Points of one metric of a run, packed: the form is that of `points::chunk`. A point may be in two rows, and is one.
create table metric_chunks (
    run_key         bigint not null,
    key_id          integer not null,
    number          integer not null,
    count           integer not null,
    first_timestamp bigint not null,
    last_timestamp  bigint not null,
    points          bytea not null,
    primary key (run_key, key_id, number)
);
alter table metric_chunks alter column points set storage external;

insert into metric_journal (run_key, points)
select m.run_key,
    string_agg(int4send(m.key_id) || int8send(m.step) || int8send(m.timestamp) || float8send(m.value), ''::bytea)
from (
    select m.run_key, k.id as key_id, m.step, m.timestamp, m.value,
        row_number() over (partition by m.run_key order by m.metric_id, m.timestamp, m.step) / 250 as part
    from metrics m
    join runs r on r.key = m.run_key
    join metric_keys old on old.id = m.metric_id
    join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'metric' and k.name = old.name
) m
group by m.run_key, m.part;
drop table metrics;

alter table latest_metrics add column key_id integer;
update latest_metrics l
set key_id = k.id
from runs r, metric_keys old, log_keys k
where r.key = l.run_key
  and old.id = l.metric_id
  and k.experiment_id = r.experiment_id and k.kind = 'metric' and k.name = old.name;
alter table latest_metrics drop column metric_id;
alter table latest_metrics alter column key_id set not null;
alter table latest_metrics add primary key (run_key, key_id);
alter table latest_metrics set (fillfactor = 90);
create index latest_metrics_value on latest_metrics (key_id, value);

-- A model's metrics are few, and are not of one experiment.
alter table logged_model_metrics add column key text collate "C";
update logged_model_metrics m set key = k.name from metric_keys k where k.id = m.metric_id;
alter table logged_model_metrics alter column key set not null;
alter table logged_model_metrics drop column metric_id;
alter table logged_model_metrics add primary key
    (logged_model_id, key, timestamp, step, run_key, value, dataset_name, dataset_digest);
drop table metric_keys;
