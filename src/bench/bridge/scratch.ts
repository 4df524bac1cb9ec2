import type { Store } from '../../store/connection.ts'
import type { SqlExecutor } from '../../transports/transport.ts'
import { runOfSchema, type ScratchNames, scratchNames } from './names.ts'

/** The tables of one run, and the lock that tells other processes that it is still going on. */
export interface Scratch {
  /** Removes all that the run left in the store, but for its events: they go with their partition after a day. */
  remove(): Promise<void>
  /** Removes nothing: the store does not answer. The next run finds what was left. */
  leave(): Promise<void>
}

/** Held by the process of the run for as long as it lives; released by the server when that process dies. */
const lockOf = "hashtextextended('evt.bench.' || $1, 0)"

/** Makes the run's schema, and removes what runs left behind whose process is gone. */
export async function openScratch(store: Store, names: ScratchNames): Promise<Scratch> {
  const holder = await store.pool.connect()
  holder.on('error', () => {})
  let isOpen = true
  const release = async () => {
    if (isOpen) holder.release(true)
    isOpen = false
  }
  try {
    await holder.query(`select pg_advisory_lock(${lockOf})`, [names.run])
    await store.query(`create schema ${names.schema} create table effects (
      n bigint generated always as identity, handler smallint not null, key integer not null, k integer not null)`)
    await removeLeftovers(store)
  } catch (error) {
    await release()
    throw error
  }
  return {
    leave: release,
    async remove() {
      if (!isOpen) return
      await removeRun(store, names).finally(release)
    },
  }
}

async function removeLeftovers(store: Store): Promise<void> {
  const { rows } = await store.query("select nspname from pg_namespace where nspname ~ '^evt_bench_[a-z0-9]+$'")
  for (const { nspname } of rows) {
    const run = runOfSchema(String(nspname))
    if (run === undefined) continue
    await store.transaction(async (sql) => {
      const lock = await sql.query(`select pg_try_advisory_xact_lock(${lockOf}) as free`, [run])
      if (lock.rows[0]?.free === true) await removeRun(sql, scratchNames(run))
    })
  }
}

/** Tables that know handlers by name; lanes go with their group. */
const handlerTables = [
  ['deliveries', 'handler'],
  ['parked_subjects', 'handler'],
  ['suspects', 'handler'],
  ['dead_letters', 'handler'],
  ['inbox', 'handler'],
  ['handler_switches', 'handler'],
  ['groups', 'name'],
] as const

async function removeRun(sql: SqlExecutor, names: ScratchNames): Promise<void> {
  const upTo = `${names.handlerPrefix}\uffff`
  for (const [table, column] of handlerTables) {
    await sql.query(`delete from evt.${table} where ${column} >= $1 and ${column} < $2`, [names.handlerPrefix, upTo])
  }
  await sql.query('delete from evt.instances where instance = $1', [names.instance])
  await sql.query(`drop schema if exists ${names.schema} cascade`)
}
