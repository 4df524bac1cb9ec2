drop table evt.payload_logging, evt.analytics_popular, evt.analytics_totals, evt.analytics_minutes, evt.alert_notices, evt.alerts, evt.watch_tasks;
