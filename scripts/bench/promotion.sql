-- Fills a database in which promotion 1 is live with :promotions more that have ended, of a hundred models, each with its
-- version, findings, votes and deployment; and with :events lines of history, spread over them.
--   psql --variable promotions=10000 --variable events=1000000 --file promotion.sql
\set ON_ERROR_STOP on
\set QUIET on
set synchronous_commit = off;

create temporary table first as
select p.*, v.run_id from promotions p join model_versions v on v.id = p.model_version_id where p.number = 1;
select workspace_id as workspace, environment_id as environment from first \gset

create temporary table new_models as
select n as model, gen_random_uuid() as id, 'model-' || to_char(n, 'FM000') as name from generate_series(0, 99) n;
insert into models
select r.* from new_models n, first f
join models m on m.id = f.model_id
cross join lateral jsonb_populate_record(m, jsonb_build_object('id', n.id, 'name', n.name,
    'last_version', :promotions / 100)) r;

create temporary table new_promotions as
select n, gen_random_uuid() as id, gen_random_uuid() as version, gen_random_uuid() as deployment, m.id as model,
    1 + (n - 1) / 100 as version_number,
    -- The last of each model serves; of those before some were refused.
    case when n > :promotions - 100 then 'live' when n % 10 = 3 then 'rejected' when n % 10 = 7 then 'rolled_back'
        else 'superseded' end as state,
    now() - interval '30 minutes' * (:promotions - n) as at
from generate_series(1, :promotions) n
join new_models m on m.model = n % 100;
create unique index on new_promotions (n);
analyze new_promotions;

insert into model_versions
select r.* from new_promotions n, first f
join model_versions v on v.id = f.model_version_id
cross join lateral jsonb_populate_record(v, jsonb_build_object('id', n.version, 'model_id', n.model,
    'version', n.version_number, 'created_at', n.at)) r;
insert into model_version_files
select r.* from new_promotions n, first f
join model_version_files v on v.model_version_id = f.model_version_id
cross join lateral jsonb_populate_record(v, jsonb_build_object('model_version_id', n.version)) r;

-- Numbers go on after those that there are.
select max(number) as last from promotions \gset
select coalesce(max(number), 0) as last_deployment from deployments \gset
insert into promotions
select r.* from new_promotions n, first f
join promotions p on p.id = f.id
cross join lateral jsonb_populate_record(p, jsonb_build_object('id', n.id, 'number', :last + n.n, 'model_id', n.model,
    'model_version_id', n.version, 'state', n.state, 'created_at', n.at, 'updated_at', n.at, 'approved_at', n.at,
    'expires_at', n.at + interval '7 days')) r;
insert into promotion_policies select n.id, p.policy_id from new_promotions n, first f
join promotion_policies p on p.promotion_id = f.id;
insert into gates
select r.* from new_promotions n, first f
join gates g on g.promotion_id = f.id
cross join lateral jsonb_populate_record(g, jsonb_build_object('promotion_id', n.id)) r;
insert into decisions (id, promotion_id, user_id, user_name, verdict, comment, subject_digest, at, rules)
select gen_random_uuid(), n.id, u.id, u.name, case n.state when 'rejected' then 'reject' else 'approve' end, 'Looked at it.',
    f.subject_digest, n.at, '{production/approvers}'
from new_promotions n, first f, users u;
insert into deployments
select r.* from new_promotions n, first f
join deployments d on d.promotion_id = f.id
cross join lateral jsonb_populate_record(d, jsonb_build_object('id', n.deployment, 'number', :last_deployment + n.n,
    'model_id', n.model, 'model_version_id', n.version, 'promotion_id', n.id, 'created_at', n.at, 'live_at', n.at,
    'state', case n.state when 'live' then 'live' else 'retired' end,
    'retired_at', case n.state when 'live' then null else n.at end)) r
where n.state <> 'rejected';
insert into aliases
select r.* from new_promotions n, first f
join aliases a on a.model_id = f.model_id
cross join lateral jsonb_populate_record(a, jsonb_build_object('model_id', n.model, 'model_version_id', n.version)) r
where n.state = 'live';
update workspace_counters set last = last + :promotions where workspace_id = :'workspace' and noun in ('promotion', 'deployment');

-- Oldest first, as ids that tell the time are.
insert into audit_events (id, workspace_id, at, actor_name, action, object_kind, object_id, object_name, related, summary,
    details)
select (lpad(to_hex(e), 12, '0') || '7' || lpad(to_hex(e % 4096), 3, '0') || '8' || substr(md5(e::text), 1, 15))::uuid,
    :'workspace', now() - interval '1 s' * (:events - e), 'Slipway', 'promotion.gates_passed', 'promotion', p.id::text,
    '#' || p.n,
    jsonb_build_array(
        jsonb_build_object('kind', 'model_version', 'id', p.version, 'name', 'v'),
        jsonb_build_object('kind', 'model', 'id', p.model, 'name', 'm'),
        jsonb_build_object('kind', 'environment', 'id', :'environment', 'name', 'production')),
    'found that something of a usual length passes its gates, and asks for approval',
    jsonb_build_object('n', e, 'policy', md5(e::text) || md5(e::text))
from generate_series(1, :events) e
join new_promotions p on p.n = 1 + e % :promotions;
