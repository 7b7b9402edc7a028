-- Pipelines and what they did. These tables are the truth of what runs; jobs only wake somebody to look at them.

create table pipelines (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    name         text not null,
    created_at   timestamptz not null default now(),
    unique (workspace_id, name)
);

create table pipeline_versions (
    id          uuid primary key,
    pipeline_id uuid not null references pipelines (id),
    number      integer not null,
    digest      text not null,
    source      text not null,
    spec        jsonb not null,
    created_by  text not null,
    created_at  timestamptz not null default now(),
    -- A file that is stored again is the newest again: the one that runs when no version is named.
    stored_at   timestamptz not null default clock_timestamp(),
    unique (pipeline_id, number),
    unique (pipeline_id, digest)
);

create table pipeline_runs (
    id                  uuid primary key,
    workspace_id        uuid not null references workspaces (id),
    pipeline_id         uuid not null references pipelines (id),
    version_id          uuid not null references pipeline_versions (id),
    number              bigint not null,
    state               text not null check (state in ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    params              jsonb not null default '{}',
    -- What started it: 'person', 'api', 'trigger'.
    cause               text not null,
    cause_id            text,
    started_by          uuid references users (id),
    started_by_name     text not null,
    -- When a step of another run started it: the person behind that run.
    on_behalf_of        uuid references users (id),
    -- A request that is sent again with the same key starts nothing.
    idempotency_key     text,
    cancel_requested_at timestamptz,
    created_at          timestamptz not null default now(),
    started_at          timestamptz,
    ended_at            timestamptz,
    unique (workspace_id, number)
);
create unique index pipeline_runs_idempotency on pipeline_runs (workspace_id, idempotency_key) where idempotency_key is not null;
create index pipeline_runs_pipeline on pipeline_runs (pipeline_id, number desc);
create index pipeline_runs_version on pipeline_runs (version_id);
create index pipeline_runs_starter on pipeline_runs (started_by);
create index pipeline_runs_behalf on pipeline_runs (on_behalf_of);
create index pipeline_runs_open on pipeline_runs (state) where state in ('queued', 'running', 'cancelling');

create sequence fences;

create table steps (
    id             uuid primary key,
    run_id         uuid not null references pipeline_runs (id),
    name           text not null,
    position       integer not null,
    pool           text not null default 'default',
    state          text not null check (state in ('waiting', 'ready', 'running', 'succeeded', 'failed', 'skipped', 'cancelled')),
    reason         text not null default '',
    needs_left     integer not null,
    attempts       integer not null default 0,
    max_attempts   integer not null default 1,
    -- Tries that ended because their worker was lost; counted apart from the user's own retries.
    losses         integer not null default 0,
    failures       integer not null default 0,
    next_at        timestamptz not null default now(),
    lease_owner    text,
    lease_until    timestamptz,
    fence          bigint,
    outputs        jsonb not null default '[]',
    started_at     timestamptz,
    ended_at       timestamptz,
    unique (run_id, name),
    check ((state = 'running') = (fence is not null and lease_until is not null and lease_owner is not null))
);
create index steps_ready on steps (pool, next_at) where state = 'ready';
create index steps_leased on steps (lease_until) where state = 'running';

create table step_edges (
    parent_id uuid not null references steps (id),
    child_id  uuid not null references steps (id),
    primary key (parent_id, child_id)
);
create index step_edges_child on step_edges (child_id);

create table step_attempts (
    id         uuid primary key,
    step_id    uuid not null references steps (id),
    number     integer not null,
    fence      bigint not null unique,
    worker     text not null,
    outcome    text not null default 'running' check (outcome in ('running', 'succeeded', 'failed', 'timed_out', 'lost', 'cancelled')),
    reason     text not null default '',
    exit_code  integer,
    started_at timestamptz not null default clock_timestamp(),
    ended_at   timestamptz,
    -- The token that its process logs with; revoked when it ends.
    token_id   uuid references tokens (id),
    log_lines  bigint not null default 0,
    unique (step_id, number)
);
create index step_attempts_token on step_attempts (token_id);

-- The log of a try in chunks of whole lines. `first_line` counts from 1.
create table log_chunks (
    attempt_id uuid not null references step_attempts (id),
    first_line bigint not null,
    lines      integer not null,
    -- [[milliseconds since 1970, "out" | "err" | "sys", text], …]
    content    jsonb not null,
    primary key (attempt_id, first_line)
);

-- Which step a tracked run was logged from.
alter table runs add column step_attempt_id uuid references step_attempts (id);
create index runs_step_attempt on runs (step_attempt_id);
