import type { SqlExecutor } from '../transports/transport.ts'
import type { RelayLog } from './relay-recorder.ts'

/** What this process would carry, were it the leader. */
export interface Waiting {
  readonly sinks: readonly string[]
  readonly sources: readonly string[]
}

/** A leader says what it carries at its next beat; one that is new gets this long. */
const settlingMs = 1_500

const leaderSql = `select r.leader, r.epoch::text as epoch, i.sample->'sinks' as sinks, i.sample->'sources' as sources
  from evt.relay r left join evt.instances i on i.instance = r.leader`

/**
 * Says once for each leader what of ours it does not carry: it waits here in silence otherwise. `look` is called now and then while another
 * leads, and throws what the store throws.
 */
export function createStandingBy(log: RelayLog): { look(sql: SqlExecutor, waiting: Waiting): Promise<void> } {
  let seen: { readonly epoch: string; readonly sinceMs: number } | undefined
  let told = new Set<string>()
  return {
    async look(sql, waiting) {
      const ours = [...waiting.sinks.map((name) => `sink ${name}`), ...waiting.sources.map((name) => `source ${name}`)]
      if (ours.length === 0) return
      const { rows } = await sql.query(leaderSql)
      const leader = rows[0] as LeaderRow | undefined
      if (!leader?.leader) return
      if (seen?.epoch !== leader.epoch) {
        seen = { epoch: leader.epoch, sinceMs: performance.now() }
        told = new Set()
      }
      if (performance.now() - seen.sinceMs < settlingMs) return
      const theirs = new Set([
        ...(leader.sinks ?? []).map(({ sink }) => `sink ${sink}`),
        ...(leader.sources ?? []).map(({ source }) => `source ${source}`),
      ])
      const left = ours.filter((one) => !theirs.has(one) && !told.has(one))
      if (left.length === 0) return
      for (const one of left) told.add(one)
      log.warn(`${leader.leader} leads and carries its own sinks; what waits here starts when this one leads`, {
        waits: left.join(', '),
        hint: 'give the leader the same configuration',
      })
    },
  }
}

interface LeaderRow {
  readonly leader: string | null
  readonly epoch: string
  readonly sinks: readonly { readonly sink: string }[] | null
  readonly sources: readonly { readonly source: string }[] | null
}
