-- Who runs steps: each worker says so every few seconds.
create table workers (
    -- Its process: different for each start.
    name       text primary key,
    -- For people: host and process.
    label      text not null,
    pools      text[] not null,
    executors  text[] not null,
    slots      integer not null,
    version    text not null,
    started_at timestamptz not null default clock_timestamp(),
    last_seen  timestamptz not null default clock_timestamp()
);
create index workers_last_seen on workers (last_seen);
