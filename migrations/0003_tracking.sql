-- What MLflow's clients log. `runs.key` is a small number that the many rows of a run carry instead of its id.
-- Names, keys and values that lists are sorted by compare as bytes, the same on every installation.

create table experiments (
    id               bigint generated always as identity primary key,
    workspace_id     uuid not null references workspaces (id),
    name             text collate "C" not null,
    is_default       boolean not null default false,
    lifecycle_stage  text not null default 'active' check (lifecycle_stage in ('active', 'deleted')),
    creation_time    bigint not null,
    last_update_time bigint not null,
    unique (workspace_id, name)
);
create unique index experiments_default on experiments (workspace_id) where is_default;

create table experiment_tags (
    experiment_id bigint not null references experiments (id),
    key           text not null,
    value         text not null,
    primary key (experiment_id, key)
);

create table runs (
    key             bigint generated always as identity primary key,
    id              uuid not null unique,
    workspace_id    uuid not null references workspaces (id),
    experiment_id   bigint not null references experiments (id),
    name            text collate "C" not null,
    status          text collate "C" not null default 'RUNNING' check (status in ('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED')),
    lifecycle_stage text not null default 'active' check (lifecycle_stage in ('active', 'deleted')),
    start_time      bigint not null,
    end_time        bigint,
    user_id         uuid references users (id),
    -- As the client named its user; who it really was is user_id.
    user_name       text collate "C" not null default ''
);
create index runs_listed on runs (experiment_id, start_time desc, id) where lifecycle_stage = 'active';
create index runs_experiment on runs (experiment_id);
create index runs_workspace on runs (workspace_id, start_time desc);
create index runs_user on runs (user_id);

create table params (
    run_key bigint not null references runs (key),
    key     text collate "C" not null,
    value   text collate "C" not null,
    primary key (run_key, key)
);

create table run_tags (
    run_key bigint not null references runs (key),
    key     text collate "C" not null,
    value   text collate "C" not null,
    primary key (run_key, key)
);

create table metric_keys (
    id   integer generated always as identity primary key,
    name text collate "C" not null unique
);

-- Append-only. A point that is sent again changes nothing: the whole row is its key.
-- No foreign keys here and below: each would be looked up for every point. Runs and keys are found in the request that
-- logs, and are never deleted.
create table metrics (
    run_key   bigint not null,
    metric_id integer not null,
    step      bigint not null,
    timestamp bigint not null,
    value     double precision not null,
    -- In the order in which clients ask for a history.
    primary key (run_key, metric_id, timestamp, step, value)
);
create trigger metrics_append_only before update or delete on metrics
    for each statement execute function refuse_change();

-- The point of the greatest (step, timestamp, value) of each metric of a run; not-a-number counts as 0 there.
create table latest_metrics (
    run_key   bigint not null,
    metric_id integer not null,
    step      bigint not null,
    timestamp bigint not null,
    value     double precision not null,
    primary key (run_key, metric_id)
);
create index latest_metrics_value on latest_metrics (metric_id, value);

create table datasets (
    id            bigint generated always as identity primary key,
    experiment_id bigint not null references experiments (id),
    name          text not null,
    digest        text not null,
    source_type   text not null,
    source        text not null,
    schema        text,
    profile       text,
    unique (experiment_id, name, digest)
);

create table run_datasets (
    run_key    bigint not null references runs (key),
    dataset_id bigint not null references datasets (id),
    tags       jsonb not null default '{}',
    primary key (run_key, dataset_id)
);
create index run_datasets_dataset on run_datasets (dataset_id);

create table logged_models (
    id               uuid primary key,
    workspace_id     uuid not null references workspaces (id),
    experiment_id    bigint not null references experiments (id),
    name             text collate "C" not null,
    model_type       text collate "C" not null default '',
    source_run_id    uuid references runs (id),
    status           text not null default 'pending' check (status in ('pending', 'ready', 'upload_failed')),
    status_message   text not null default '',
    creation_time    bigint not null,
    last_update_time bigint not null,
    deleted          boolean not null default false,
    params           jsonb not null default '{}',
    tags             jsonb not null default '{}'
);
create index logged_models_experiment on logged_models (experiment_id, creation_time desc);
create index logged_models_run on logged_models (source_run_id);
create index logged_models_workspace on logged_models (workspace_id);

-- Points that a run logged of a model, perhaps on a data set. They are among the run's own metrics as well.
create table logged_model_metrics (
    logged_model_id uuid not null,
    metric_id       integer not null,
    run_key         bigint not null,
    step            bigint not null,
    timestamp       bigint not null,
    value           double precision not null,
    dataset_name    text not null default '',
    dataset_digest  text not null default '',
    primary key (logged_model_id, metric_id, timestamp, step, run_key, value, dataset_name, dataset_digest)
);

-- Which logged models a run read ('input') and wrote ('output').
create table run_models (
    run_key         bigint not null references runs (key),
    logged_model_id uuid not null references logged_models (id),
    direction       text not null check (direction in ('input', 'output')),
    step            bigint not null default 0,
    primary key (run_key, logged_model_id, direction)
);
create index run_models_model on run_models (logged_model_id);

-- Files. The content lies in the artifact store under its digest; here is which root has which path.
-- A root is a run or a logged model, by id; the server makes it, a client only names it.
create table artifacts (
    root_id    uuid not null,
    -- Sorted as bytes, so that a folder is a range of the primary key.
    path       text collate "C" not null,
    root_kind  text not null check (root_kind in ('run', 'logged_model')),
    digest     text not null,
    size       bigint not null,
    created_at timestamptz not null default now(),
    primary key (root_id, path)
);
create index artifacts_digest on artifacts (digest);
