-- Files that come in parts. What a part holds lies in the artifact store until the file is put together from them.

create table uploads (
    id            uuid primary key,
    workspace_id  uuid not null references workspaces (id),
    -- Who began it: nobody else completes it.
    user_id       uuid not null references users (id),
    experiment_id bigint not null references experiments (id),
    root_id       uuid not null,
    root_kind     text not null check (root_kind in ('run', 'logged_model')),
    path          text collate "C" not null,
    parts         integer not null check (parts between 1 and 10000),
    -- SHA-256 of what is sent with each part, and is good for nothing else.
    key_hash      bytea not null unique,
    state         text not null default 'open' check (state in ('open', 'completed', 'aborted')),
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null
);
create index uploads_workspace on uploads (workspace_id);
create index uploads_user on uploads (user_id);
create index uploads_experiment on uploads (experiment_id);
create index uploads_expires on uploads (expires_at);

-- A part that is sent again takes the place of what was there.
create table upload_parts (
    upload_id uuid not null references uploads (id) on delete cascade,
    number    integer not null,
    digest    text not null,
    size      bigint not null,
    primary key (upload_id, number)
);
