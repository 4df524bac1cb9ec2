import type { SqlExecutor } from '../transports/transport.ts'
import type { Store } from './connection.ts'

/** One version of a type as a bridge knows it. */
export interface KnownContract {
  readonly type: string
  readonly version: number
  readonly fingerprint: string
  readonly draft: boolean
}

/** Bridges by what one version of a type means to them, where they do not agree. */
export interface ContractDrift {
  readonly type: string
  readonly version: number
  /** One for each meaning, and the bridges that have it. */
  readonly bridges: readonly (readonly string[])[]
}

const live = `select instance from evt.instances where stopped_at is null and beat_at > clock_timestamp() - interval '30 seconds'`

/** Replaces what this bridge knew, and forgets what bridges knew that are gone. */
export async function writeContracts(
  store: Store,
  instance: string,
  contracts: readonly KnownContract[],
): Promise<void> {
  await store.transaction(async (sql) => {
    await sql.query(`delete from evt.contracts where instance = $1 or instance not in (${live})`, [instance])
    await sql.query(
      `insert into evt.contracts (type, version, fingerprint, instance, draft)
       select c.type, c.version, c.fingerprint, $1, c.draft
       from unnest($2::text[], $3::int[], $4::text[], $5::boolean[]) c (type, version, fingerprint, draft)`,
      [
        instance,
        contracts.map(({ type }) => type),
        contracts.map(({ version }) => version),
        contracts.map(({ fingerprint }) => fingerprint),
        contracts.map(({ draft }) => draft),
      ],
    )
  })
}

/** What running bridges do not agree about. A version that only some of them know is none: its events wait. */
export async function readContractDrift(sql: SqlExecutor): Promise<readonly ContractDrift[]> {
  const { rows } = await sql.query(
    `select type, version, json_agg(instances order by instances::text) as bridges from (
       select type, version, fingerprint, json_agg(instance order by instance) as instances
       from evt.contracts where instance in (${live}) group by type, version, fingerprint) known
     group by type, version having count(*) > 1 order by type, version`,
  )
  return rows as unknown as readonly ContractDrift[]
}

/** Types that running bridges know and that may be published, in order. */
export async function readKnownTypes(sql: SqlExecutor): Promise<readonly string[]> {
  const { rows } = await sql.query(
    `select distinct type from evt.contracts where instance in (${live}) and not draft order by type`,
  )
  return rows.map(({ type }) => String(type))
}
