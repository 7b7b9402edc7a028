-- Who may do what is remembered for a few seconds by each process; whatever changes it tells all of them to ask again.
create function tell_access_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('slipway_events', 'access');
    return null;
end $$;

create trigger tokens_tell_access after delete or update of user_id, workspace_id, scope, expires_at, revoked_at on tokens
    for each statement execute function tell_access_changed();
create trigger members_tell_access after insert or delete or update on members
    for each statement execute function tell_access_changed();
create trigger users_tell_access after delete or update of email, name, is_service on users
    for each statement execute function tell_access_changed();
create trigger workspaces_tell_access after insert or delete or update on workspaces
    for each statement execute function tell_access_changed();
