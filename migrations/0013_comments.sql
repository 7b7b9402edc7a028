-- What people say of runs and model versions.

create table comments (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    object_kind  text not null check (object_kind in ('run', 'model_version')),
    object_id    uuid not null,
    author_id    uuid not null references users (id),
    -- As the author was called then.
    author_name  text not null,
    -- Markdown, as it was written; nothing once it is deleted.
    body         text not null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    deleted_at   timestamptz
);
create index comments_object on comments (object_id, id) where deleted_at is null;
create index comments_workspace on comments (workspace_id);
create index comments_author on comments (author_id);
