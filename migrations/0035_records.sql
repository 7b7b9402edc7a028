-- What a step was run with: so that what it gave can be used again, or made again.

-- What workers are, by the digest of what is said: their machine, and what steps find on it.
create table worker_facts (
    digest     text primary key,
    content    jsonb not null,
    created_at timestamptz not null default clock_timestamp()
);
alter table workers
    add column machine text references worker_facts (digest),
    add column environment text references worker_facts (digest);
create index workers_machine on workers (machine);
create index workers_environment on workers (environment);
alter table step_attempts
    add column machine text references worker_facts (digest),
    add column environment text references worker_facts (digest);
create index step_attempts_machine on step_attempts (machine);
create index step_attempts_environment on step_attempts (environment);

alter table steps
    -- How it went with what steps gave before: a hit, or a miss with its reasons. None for a step that is not cached.
    add column cache jsonb,
    -- What it was run with, by part, and the digest of that.
    add column cache_parts jsonb,
    add column cache_key text;

-- Steps that succeeded, by what they were run with.
create table step_cache (
    workspace_id uuid not null references workspaces (id),
    key          text not null,
    step_id      uuid not null references steps (id),
    -- Whose reasons for a miss are told against it.
    pipeline_id  uuid not null references pipelines (id),
    name         text not null,
    parts        jsonb not null,
    created_at   timestamptz not null default clock_timestamp(),
    primary key (workspace_id, key)
);
create index step_cache_step on step_cache (step_id);
create index step_cache_name on step_cache (pipeline_id, name, created_at desc);

alter table pipeline_runs
    -- Whether its steps may use what others gave.
    add column use_cache boolean not null default true,
    -- The commit and what was changed after it: {repository, commit, branch, is_dirty, patch}.
    add column code jsonb,
    -- The run that it is to reproduce, and what came of that.
    add column reproduces uuid references pipeline_runs (id),
    add column verdict jsonb;
create index pipeline_runs_reproduces on pipeline_runs (reproduces) where reproduces is not null;
