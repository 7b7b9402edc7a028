-- Deployments, the predictions they made, and what monitors find in them.

create table deployments (
    id               uuid primary key,
    workspace_id     uuid not null references workspaces (id),
    number           bigint not null,
    environment_id   uuid not null references environments (id),
    model_id         uuid not null references models (id),
    model_version_id uuid not null references model_versions (id),
    digest           text not null,
    promotion_id     uuid references promotions (id),
    rollback_of      uuid references deployments (id),
    state            text not null check (state in ('deploying', 'live', 'retired', 'failed')),
    state_reason     text not null default '',
    created_by       text not null,
    created_at       timestamptz not null default now(),
    live_at          timestamptz,
    retired_at       timestamptz,
    -- What its traffic is compared with: fixed when it goes live, or when a check first finds it. Whoever writes to the
    -- version's run later does not change what is watched.
    reference_path   text,
    reference_digest text,
    unique (workspace_id, number),
    check ((reference_path is null) = (reference_digest is null))
);
-- One version answers for a model in an environment.
create unique index deployments_live on deployments (environment_id, model_id) where state = 'live';
create index deployments_model on deployments (model_id, number desc);
create index deployments_version on deployments (model_version_id);
create index deployments_promotion on deployments (promotion_id);
create index deployments_rollback on deployments (rollback_of);

create table predictions (
    id            uuid primary key,
    deployment_id uuid not null references deployments (id),
    request_id    text,
    at            timestamptz not null,
    status        smallint not null,
    latency_us    integer not null,
    rows          integer not null,
    features      jsonb not null,
    output        jsonb not null
);
create index predictions_deployment on predictions (deployment_id, at desc);

create table monitors (
    id             uuid primary key,
    workspace_id   uuid not null references workspaces (id),
    environment_id uuid not null references environments (id),
    model_id       uuid not null references models (id),
    window_rows    integer not null default 1000 check (window_rows between 10 and 100000),
    min_rows       integer not null default 100 check (min_rows between 10 and 100000),
    enabled        boolean not null default true,
    -- The traffic up to here has been checked.
    checked_up_to  timestamptz,
    created_at     timestamptz not null default now(),
    unique (environment_id, model_id)
);
create index monitors_workspace on monitors (workspace_id);
create index monitors_model on monitors (model_id);

create table checks (
    id            bigint generated always as identity primary key,
    monitor_id    uuid not null references monitors (id),
    deployment_id uuid not null references deployments (id),
    at            timestamptz not null default now(),
    state         text not null check (state in ('ok', 'drifted', 'inconclusive')),
    reason        text not null default '',
    rows          bigint not null,
    share         double precision,
    features      jsonb not null default '[]'
);
create index checks_monitor on checks (monitor_id, id desc);
create index checks_deployment on checks (deployment_id);

create table alerts (
    id            uuid primary key,
    workspace_id  uuid not null references workspaces (id),
    number        bigint not null,
    monitor_id    uuid not null references monitors (id),
    deployment_id uuid not null references deployments (id),
    state         text not null check (state in ('open', 'acknowledged', 'resolved')),
    summary       text not null,
    opened_at     timestamptz not null default now(),
    last_seen_at  timestamptz not null default now(),
    resolved_at   timestamptz,
    handled_by    text,
    -- The check that found it last.
    check_id      bigint references checks (id),
    unique (workspace_id, number)
);
-- A monitor has one alert at a time.
create unique index alerts_unresolved on alerts (monitor_id) where state <> 'resolved';
create index alerts_deployment on alerts (deployment_id);
create index alerts_check on alerts (check_id);

create table triggers (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    monitor_id   uuid not null references monitors (id),
    pipeline_id  uuid not null references pipelines (id),
    params       jsonb not null default '{}',
    enabled      boolean not null default true,
    cool_down_s  integer not null default 3600 check (cool_down_s >= 0),
    created_at   timestamptz not null default now(),
    unique (monitor_id, pipeline_id)
);
create index triggers_workspace on triggers (workspace_id);
create index triggers_pipeline on triggers (pipeline_id);

-- A trigger fires at most once for an alert: the key is the guard.
create table firings (
    trigger_id      uuid not null references triggers (id),
    alert_id        uuid not null references alerts (id),
    at              timestamptz not null default now(),
    pipeline_run_id uuid references pipeline_runs (id),
    held_back       text,
    primary key (trigger_id, alert_id)
);
create index firings_alert on firings (alert_id);
create index firings_run on firings (pipeline_run_id);
