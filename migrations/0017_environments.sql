-- What environments are: how much depends on them, in which order, who sees them. Teams, change windows, delegations.

alter table environments
    add column tier text not null default 'other'
        check (tier in ('production', 'staging', 'testing', 'development', 'other')),
    -- Whether the alias of its name moves only by a promotion.
    add column protected boolean not null default true,
    -- Seconds between the approval and the deployment.
    add column wait_timer_s integer not null default 0 check (wait_timer_s between 0 and 2592000),
    -- The roles that see it and what is in it; null for everybody.
    add column visible_to text[]
        check (visible_to <@ array['viewer', 'contributor', 'operator', 'approver', 'admin'] and cardinality(visible_to) > 0),
    add column archived_at timestamptz;
update environments set tier = name where name in ('production', 'staging');

-- Whether somebody with these roles sees an environment; null roles are Slipway itself. The one rule of all statements
-- that give what is in environments; `domain::environment::Sight` is the same rule in memory.
create function may_see_environment(visible_to text[], roles text[]) returns boolean
    language sql immutable parallel safe
    return visible_to is null or roles is null or 'admin' = any (roles) or visible_to && roles;

create table teams (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    name         text not null,
    description  text not null default '',
    created_at   timestamptz not null default now(),
    unique (workspace_id, name),
    unique (id, workspace_id)
);

create table team_members (
    team_id      uuid not null,
    workspace_id uuid not null,
    user_id      uuid not null,
    primary key (team_id, user_id),
    foreign key (team_id, workspace_id) references teams (id, workspace_id) on delete cascade,
    -- Whoever leaves the workspace leaves its teams.
    foreign key (workspace_id, user_id) references members (workspace_id, user_id) on delete cascade
);
create index team_members_member on team_members (workspace_id, user_id);
create index team_members_team on team_members (team_id, workspace_id);

create table freezes (
    id              uuid primary key,
    workspace_id    uuid not null references workspaces (id),
    name            text not null,
    kind            text not null check (kind in ('allow', 'deny')),
    schedule        jsonb not null,
    selector        jsonb not null,
    manual_override boolean not null,
    overrun         boolean not null,
    reason          text not null default '',
    created_at      timestamptz not null,
    created_by      text not null,
    ended_at        timestamptz
);
create index freezes_workspace on freezes (workspace_id, id);

create table delegations (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    from_user    uuid not null references users (id),
    to_user      uuid not null references users (id) check (to_user <> from_user),
    scope        jsonb not null,
    starts_at    timestamptz not null,
    ends_at      timestamptz not null check (ends_at > starts_at),
    reason       text not null,
    created_at   timestamptz not null,
    created_by   text not null,
    revoked_at   timestamptz
);
create index delegations_workspace on delegations (workspace_id, id);
create index delegations_from on delegations (from_user);
create index delegations_to on delegations (to_user);
