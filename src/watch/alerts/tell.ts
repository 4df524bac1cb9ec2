import type { HandlerLog } from '../../handle/handler.ts'
import { addNotices, dropAlerts, forgetAlerts, putAlerts } from '../../store/alerts.ts'
import type { Store } from '../../store/connection.ts'
import { saveTask, type WatchState, type WatchTask } from '../../store/watch-tasks.ts'
import type { Told, Transitions } from './transitions.ts'

export interface Teller {
  readonly store: Store
  readonly log: HandlerLog
  readonly task: WatchTask
  readonly state: WatchState
}

/**
 * States, events and notices in one transaction, with the place in the log: nobody is told twice, and no change is forgotten. The log is told
 * after the commit.
 */
export async function tell({ store, log, task, state }: Teller, all: readonly Transitions[]): Promise<void> {
  const told = all.flatMap((one) => one.told)
  await store.transaction(async (sql) => {
    await saveTask(sql, task, state)
    await putAlerts(
      sql,
      all.flatMap(({ put }) => put),
    )
    await dropAlerts(
      sql,
      all.flatMap(({ dropped }) => dropped),
    )
    if (told.length > 0) await forgetAlerts(sql)
    for (const one of told)
      if (one.rule.to.includes('event') && one.kind !== 'repeated')
        await sql.query(`select evt.publish($1, $2::json, $3, source => 'evt')`, [
          `alert.${one.kind}`,
          JSON.stringify(bodyOf(one)),
          `alert/${one.row.alert}${one.row.key === '' ? '' : `/${one.row.key}`}`,
        ])
    await addNotices(
      sql,
      told.flatMap((one) => {
        const webhooks = one.rule.to.filter((target) => target !== 'log' && target !== 'event')
        return webhooks.map((target) => ({ alert: one.row.alert, target, body: bodyOf(one) }))
      }),
    )
  })
  for (const one of told) if (one.rule.to.includes('log')) toLog(log, one)
}

function toLog(log: HandlerLog, { kind, row }: Told): void {
  const { alert, key, severity, says } = row
  const facts = { alert, ...(key === '' ? {} : { key }), severity, since: timeOf(row.sinceMs) }
  if (kind === 'resolved') log.info('an alert is over', facts)
  else if (severity === 'critical') log.error(`an alert ${kind === 'raised' ? 'fires' : 'still fires'}: ${says}`, facts)
  else log.warn(`an alert ${kind === 'raised' ? 'fires' : 'still fires'}: ${says}`, facts)
}

const timeOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

/** The data of `alert.raised` and `alert.resolved`, and the body of a webhook. */
const bodyOf = ({ kind, row }: Told) => ({
  alert: row.alert,
  key: row.key,
  kind,
  severity: row.severity,
  since: timeOf(row.sinceMs),
  firedAt: timeOf(row.firedMs),
  resolvedAt: timeOf(row.resolvedMs),
  value: row.value,
  says: row.says,
})
