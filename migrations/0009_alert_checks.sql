-- Which check found an alert last: what its page shows. None for an alert from before this was kept.
alter table alerts add column check_id bigint references checks (id);
create index alerts_check on alerts (check_id);
