-- What starts runs of pipelines by itself, how many of them are open at once, and what a run was started by.

-- None: as many at once as are started.
alter table pipelines
    add column concurrency_policy text check (concurrency_policy in ('queue', 'replace', 'skip')),
    add column concurrency_limit integer check (concurrency_limit between 1 and 1000),
    add constraint pipelines_concurrency check ((concurrency_policy is null) = (concurrency_limit is null));

alter table pipeline_runs
    -- What started it, as it was called then: the name of a schedule, '#12'.
    add column cause_name text,
    -- The time that it is for: of a fire, or of a backfill's date.
    add column cause_at timestamptz,
    -- How many runs led to it, one by the end of the other.
    add column depth integer not null default 0,
    -- Since when it waits for other runs of its pipeline to end. Its steps are all waiting meanwhile.
    add column held_at timestamptz,
    -- The run that it is again, and in part took over.
    add column rerun_of uuid references pipeline_runs (id);
create index pipeline_runs_rerun on pipeline_runs (rerun_of) where rerun_of is not null;
create index pipeline_runs_active on pipeline_runs (pipeline_id, number)
    where state in ('queued', 'running', 'cancelling');

-- The number of the run that the step and its outputs were carried over from.
alter table steps add column carried_from bigint;

-- Runs that have ended and whose end somebody waits for: runs of the same pipeline that are held, triggers.
create table run_endings (
    run_id uuid primary key references pipeline_runs (id),
    at     timestamptz not null default clock_timestamp()
);

create table schedules (
    id             uuid primary key,
    workspace_id   uuid not null references workspaces (id),
    pipeline_id    uuid not null references pipelines (id),
    name           text not null,
    expression     text not null,
    timezone       text not null,
    params         jsonb not null default '{}',
    catch_up       text not null check (catch_up in ('skip', 'latest', 'all')),
    catch_up_limit integer not null,
    jitter_s       integer not null default 0,
    enabled        boolean not null,
    -- The time of the next fire, and when it is to be seen to: later by its jitter. None while it is paused.
    next_fire      timestamptz,
    next_at        timestamptz,
    created_at     timestamptz not null,
    created_by     text not null,
    unique (workspace_id, name)
);
create index schedules_pipeline on schedules (pipeline_id);
create index schedules_due on schedules (next_at) where enabled;

-- A fire happens once: the key is the guard.
create table schedule_fires (
    schedule_id uuid not null references schedules (id) on delete cascade,
    fire_time   timestamptz not null,
    at          timestamptz not null default clock_timestamp(),
    outcome     text not null check (outcome in ('started', 'missed', 'skipped', 'refused')),
    reason      text not null default '',
    run_id      uuid references pipeline_runs (id),
    primary key (schedule_id, fire_time)
);
create index schedule_fires_run on schedule_fires (run_id) where run_id is not null;
create index schedule_fires_at on schedule_fires (at);

-- A trigger waits for alerts of a monitor, for the end of another pipeline's runs, or for versions of a data set.
alter table triggers
    alter column monitor_id drop not null,
    add column kind text not null default 'alert' check (kind in ('alert', 'pipeline', 'dataset')),
    add column source_pipeline_id uuid references pipelines (id),
    -- The states in which a run of that pipeline ends that it waits for.
    add column source_states text[],
    add column dataset text,
    add constraint triggers_source check (
        (kind = 'alert') = (monitor_id is not null)
        and (kind = 'pipeline') = (source_pipeline_id is not null and source_states is not null)
        and (kind = 'dataset') = (dataset is not null)
    );
create unique index triggers_source_pipeline on triggers (source_pipeline_id, pipeline_id)
    where source_pipeline_id is not null;
create unique index triggers_dataset on triggers (workspace_id, dataset, pipeline_id) where dataset is not null;

-- What triggers did that wait for no alert. Once for each thing that they wait for: the key is the guard.
create table trigger_firings (
    trigger_id      uuid not null references triggers (id) on delete cascade,
    -- 'run:<id>' or 'dataset:<version>'.
    source          text not null,
    -- As people call it: 'prepare #12', 'wine v3'.
    source_name     text not null,
    at              timestamptz not null default clock_timestamp(),
    pipeline_run_id uuid references pipeline_runs (id),
    held_back       text,
    primary key (trigger_id, source)
);
create index trigger_firings_run on trigger_firings (pipeline_run_id) where pipeline_run_id is not null;
create index trigger_firings_at on trigger_firings (trigger_id, at desc);

create table push_hooks (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    pipeline_id  uuid not null references pipelines (id),
    name         text not null,
    forge        text not null check (forge in ('github', 'gitlab', 'gitea')),
    -- As it is, for a signature is made with it. Nothing gives it out again.
    secret       text not null,
    branches     text[] not null,
    paths        text[] not null,
    params       jsonb not null default '{}',
    from_push    jsonb not null default '{}',
    enabled      boolean not null,
    created_at   timestamptz not null,
    created_by   text not null,
    unique (workspace_id, name)
);
create index push_hooks_pipeline on push_hooks (pipeline_id);

-- A delivery that is sent again starts nothing: the key is the guard.
create table push_deliveries (
    hook_id  uuid not null references push_hooks (id) on delete cascade,
    delivery text not null,
    at       timestamptz not null default clock_timestamp(),
    outcome  text not null check (outcome in ('started', 'ignored', 'refused')),
    answer   text not null,
    branch   text,
    commit   text,
    run_id   uuid references pipeline_runs (id),
    primary key (hook_id, delivery)
);
create index push_deliveries_at on push_deliveries (hook_id, at desc);
create index push_deliveries_old on push_deliveries (at);
create index push_deliveries_run on push_deliveries (run_id) where run_id is not null;

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
