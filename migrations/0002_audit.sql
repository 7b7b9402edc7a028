-- History. Rows are only ever added.

create table audit_events (
    id           uuid primary key,
    workspace_id uuid references workspaces (id),
    at           timestamptz not null default now(),
    -- null: Slipway itself.
    user_id      uuid references users (id),
    actor_name   text not null,
    actor_is_service boolean not null default false,
    action       text not null,
    object_kind  text not null,
    object_id    text not null,
    object_name  text not null,
    related      jsonb not null default '[]',
    summary      text not null,
    details      jsonb not null default '{}',
    request_id   text
);
create index audit_events_workspace on audit_events (workspace_id, id desc);
create index audit_events_kind on audit_events (workspace_id, object_kind, id desc);
create index audit_events_object on audit_events (object_kind, object_id, id desc);
create index audit_events_related on audit_events using gin (related jsonb_path_ops);
create index audit_events_user on audit_events (user_id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;

create trigger audit_events_append_only before update or delete on audit_events
    for each statement execute function refuse_change();
