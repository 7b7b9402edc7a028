-- The param of a schedule's runs that gets the time of the fire, and how. None: no param does.
alter table schedules
    add column param text,
    add column param_format text not null default 'date';
