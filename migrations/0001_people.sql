-- People, workspaces, and how they prove who they are.

create table workspaces (
    id         uuid primary key,
    slug       text not null unique,
    name       text not null,
    created_at timestamptz not null default now()
);

-- The last number given to a noun's object in a workspace: promotion #87.
create table workspace_counters (
    workspace_id uuid not null references workspaces (id),
    noun         text not null,
    last         bigint not null,
    primary key (workspace_id, noun)
);

create table users (
    id            uuid primary key,
    email         text not null unique check (email = lower(email)),
    name          text not null,
    -- argon2id in PHC form; null for a service account, and until a person has chosen one.
    password_hash text,
    is_service    boolean not null default false,
    created_at    timestamptz not null default now(),
    last_seen_at  timestamptz
);

create table members (
    workspace_id uuid not null references workspaces (id),
    user_id      uuid not null references users (id),
    roles        text[] not null check (roles <@ array['viewer', 'contributor', 'operator', 'approver', 'admin'] and cardinality(roles) > 0),
    since        timestamptz not null default now(),
    primary key (workspace_id, user_id)
);
create index members_user on members (user_id);

-- The cookie holds the id; what people see and revoke is the handle.
create table sessions (
    id           text primary key,
    handle       text not null unique,
    user_id      uuid references users (id),
    data         jsonb not null,
    user_agent   text not null default '',
    address      text not null default '',
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    expires_at   timestamptz not null
);
create index sessions_user on sessions (user_id);
create index sessions_expiry on sessions (expires_at);

create table tokens (
    id           uuid primary key,
    user_id      uuid not null references users (id),
    workspace_id uuid not null references workspaces (id),
    name         text not null,
    -- SHA-256 of the secret: it has 256 random bits, so a slow hash would add nothing.
    hash         bytea not null unique,
    prefix       text not null,
    scope        text not null check (scope in ('read', 'write', 'admin')),
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
create index tokens_user on tokens (user_id);
create index tokens_workspace on tokens (workspace_id);

-- Signs one person in, once, to choose a password.
create table sign_in_links (
    hash       bytea primary key,
    user_id    uuid references users (id),
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index sign_in_links_user on sign_in_links (user_id);
