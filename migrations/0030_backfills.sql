-- Runs of a pipeline for dates that have passed.

create table backfills (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    number       bigint not null,
    pipeline_id  uuid not null references pipelines (id),
    range        jsonb not null,
    param        text not null,
    param_format text not null,
    params       jsonb not null default '{}',
    at_once      integer not null check (at_once > 0),
    state        text not null check (state in ('running', 'done', 'cancelled')),
    -- Not looked at before: the pipeline was busy.
    next_at      timestamptz not null default clock_timestamp(),
    created_at   timestamptz not null default clock_timestamp(),
    created_by   text not null,
    ended_at     timestamptz,
    unique (workspace_id, number)
);
create index backfills_pipeline on backfills (pipeline_id);
create index backfills_running on backfills (next_at) where state = 'running';

-- One run a date: the key is the guard. Without a run it is still to be started, or refused.
create table backfill_runs (
    backfill_id uuid not null references backfills (id),
    date        timestamptz not null,
    run_id      uuid references pipeline_runs (id),
    refused     text,
    primary key (backfill_id, date)
);
create index backfill_runs_run on backfill_runs (run_id) where run_id is not null;
create index backfill_runs_waiting on backfill_runs (backfill_id, date) where run_id is null and refused is null;
