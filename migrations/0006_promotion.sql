-- Environments, policies, promotions, decisions.

create table environments (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    name         text not null,
    position     integer not null,
    unique (workspace_id, name)
);

create table policies (
    id             uuid primary key,
    environment_id uuid not null references environments (id),
    revision       integer not null,
    document       jsonb not null,
    digest         text not null,
    created_at     timestamptz not null default now(),
    created_by     text not null,
    unique (environment_id, revision)
);
create trigger policies_append_only before update or delete on policies
    for each statement execute function refuse_change();

create table promotions (
    id               uuid primary key,
    workspace_id     uuid not null references workspaces (id),
    number           bigint not null,
    model_version_id uuid not null references model_versions (id),
    model_id         uuid not null references models (id),
    environment_id   uuid not null references environments (id),
    policy_id        uuid not null references policies (id),
    state            text not null check (state in ('gates_running', 'blocked', 'awaiting_approval', 'approved', 'deploying', 'live',
                         'rejected', 'withdrawn', 'invalidated', 'superseded', 'failed', 'rolled_back')),
    state_reason     text not null default '',
    requested_by     uuid references users (id),
    requester        text not null,
    -- When a step of a pipeline asked: the person who started that run. They may not decide on it either.
    on_behalf_of     uuid references users (id),
    comment          text not null default '',
    subject          jsonb,
    subject_digest   text,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now(),
    unique (workspace_id, number)
);
-- One open request for a version and environment.
create unique index promotions_open on promotions (model_version_id, environment_id)
    where state in ('gates_running', 'blocked', 'awaiting_approval', 'approved', 'deploying');
create index promotions_model on promotions (model_id, environment_id);
create index promotions_environment on promotions (environment_id);
create index promotions_policy on promotions (policy_id);
create index promotions_requester on promotions (requested_by);
create index promotions_behalf on promotions (on_behalf_of);
-- What a sweep looks at: what waits for nobody, and what may have changed while it waits for people.
create index promotions_moving on promotions (state, id)
    where state in ('gates_running', 'awaiting_approval', 'approved', 'deploying');

create table gates (
    promotion_id uuid not null references promotions (id),
    position     integer not null,
    spec         jsonb not null,
    verdict      text not null default 'pending' check (verdict in ('pending', 'pass', 'fail', 'inconclusive')),
    finding      jsonb,
    evaluated_at timestamptz,
    primary key (promotion_id, position)
);

create table decisions (
    id             uuid primary key,
    promotion_id   uuid not null references promotions (id),
    user_id        uuid not null references users (id),
    user_name      text not null,
    verdict        text not null check (verdict in ('approve', 'reject')),
    comment        text not null default '',
    subject_digest text not null,
    at             timestamptz not null default now(),
    -- One person, one verdict on one subject.
    unique (promotion_id, user_id, subject_digest)
);
create index decisions_user on decisions (user_id);
create trigger decisions_append_only before update or delete on decisions
    for each statement execute function refuse_change();
