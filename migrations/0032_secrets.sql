-- Secrets of workspaces, encrypted. The keys are not in the database; what is here says which is in use.

create table secret_keys (
    -- The beginning of the key's SHA-256.
    id         text primary key,
    created_at timestamptz not null default clock_timestamp(),
    -- Since when nothing is encrypted with it any more. What it encrypted may still be there.
    retired_at timestamptz
);
create unique index secret_keys_current on secret_keys ((true)) where retired_at is null;

create table secrets (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    name         text not null,
    -- 1, 2, 3 …: one more for each value.
    version      integer not null check (version > 0),
    key_id       text not null references secret_keys (id),
    -- A nonce and what it encrypts, bound to workspace, name and version.
    sealed       bytea not null,
    created_at   timestamptz not null,
    created_by   text not null,
    updated_at   timestamptz not null,
    updated_by   text not null,
    -- When a step got it, to within a minute.
    last_used_at timestamptz,
    unique (workspace_id, name)
);
create index secrets_key on secrets (key_id);

-- Which values a try got, by name and version.
create table step_secrets (
    attempt_id uuid not null references step_attempts (id) on delete cascade,
    name       text not null,
    version    integer not null,
    primary key (attempt_id, name)
);

-- What hooks are signed with. A text in "secret" is from before, and is encrypted when a process starts that has a key.
alter table push_hooks
    add column key_id text references secret_keys (id),
    add column sealed bytea,
    add constraint push_hooks_sealed check ((key_id is null) = (sealed is null) and (sealed is null or secret = ''));
create index push_hooks_key on push_hooks (key_id) where key_id is not null;

alter table webhooks
    add column key_id text references secret_keys (id),
    add column sealed bytea,
    add constraint webhooks_sealed check ((key_id is null) = (sealed is null) and (sealed is null or secret = ''));
create index webhooks_key on webhooks (key_id) where key_id is not null;
