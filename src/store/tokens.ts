import { createHash, randomBytes } from 'node:crypto'
import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'

export const tokenScopes = ['publish', 'read', 'operate'] as const
export type TokenScope = (typeof tokenScopes)[number]

/** What is known of a token; the token itself is nowhere. */
export interface Token {
  readonly id: string
  readonly name: string
  readonly scopes: readonly TokenScope[]
  /** Patterns of the event types that it may publish and read. */
  readonly types: readonly string[]
  readonly createdAt: string
  readonly createdBy: string
  readonly expiresAt: string | null
  /** When it was last used, to some seconds. */
  readonly usedAt: string | null
  readonly revokedAt: string | null
}

export interface LiveToken extends Pick<Token, 'id' | 'name' | 'scopes' | 'types'> {
  readonly hash: string
  readonly expiresMs: number | undefined
}

export interface NewToken extends Pick<Token, 'name' | 'scopes' | 'types' | 'createdBy'> {
  readonly expiresAt: Date | undefined
}

const columns = `id::text, name, scopes, types, created_by as "createdBy", ${(
  [
    ['created_at', 'createdAt'],
    ['expires_at', 'expiresAt'],
    ['used_at', 'usedAt'],
    ['revoked_at', 'revokedAt'],
  ] as const
)
  .map(([column, name]) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "${name}"`)
  .join(', ')}`

const bytesOfToken = 32

/** SHA-256, lower-case hex: all that is kept, and 256 random bits need no salt and no slow hash. */
export const hashOfToken = (token: string): string => createHash('sha256').update(token).digest('hex')

/**
 * Makes a token of 256 random bits and returns it: the only time that anybody sees it. Throws `conflict` when a token of that
 * name is neither revoked nor expired.
 */
export async function createToken(
  store: Store,
  wanted: NewToken,
  audit: Audit,
): Promise<{ readonly token: string; readonly facts: Token }> {
  const token = `evt_${randomBytes(bytesOfToken).toString('base64url')}`
  const facts = await store.transaction(async (sql) => {
    await sql.query(
      'update evt.tokens set revoked_at = expires_at where name = $1 and revoked_at is null and expires_at < clock_timestamp()',
      [wanted.name],
    )
    const { rows } = await sql.query(
      `insert into evt.tokens (name, hash, scopes, types, created_by, expires_at) values ($1, $2, $3, $4, $5, $6)
       on conflict (name) where revoked_at is null do nothing returning ${columns}`,
      [wanted.name, hashOfToken(token), wanted.scopes, wanted.types, wanted.createdBy, wanted.expiresAt ?? null],
    )
    if (rows.length > 0) await audit(sql, 1)
    return rows[0] as unknown as Token | undefined
  })
  if (facts) return { token, facts }
  throw new EvtError('conflict', `cannot create token ${wanted.name}: there is one of that name`, {
    hint: `give it another name, or take that one away first: evt token revoke ${wanted.name}`,
  })
}

/** Every token that there is or was, the newest first. */
export async function listTokens(sql: SqlExecutor): Promise<readonly Token[]> {
  const { rows } = await sql.query(`select ${columns} from evt.tokens order by evt.tokens.id desc`)
  return rows as unknown as readonly Token[]
}

/** Bridges notice within a second. False when no live token has that name. */
export async function revokeToken(store: Store, name: string, audit: Audit): Promise<boolean> {
  return store.transaction(async (sql) => {
    const { rows } = await sql.query(
      'update evt.tokens set revoked_at = clock_timestamp() where name = $1 and revoked_at is null returning id',
      [name],
    )
    await audit(sql, rows.length)
    return rows.length > 0
  })
}

/** Those that open something now. */
export async function readLiveTokens(sql: SqlExecutor): Promise<readonly LiveToken[]> {
  const { rows } = await sql.query(
    `select id::text, name, hash, scopes, types, date_part('epoch', expires_at - clock_timestamp()) * 1000 as left
     from evt.tokens where revoked_at is null and coalesce(expires_at > clock_timestamp(), true)`,
  )
  return rows.map(({ left, ...token }) => ({
    ...(token as unknown as LiveToken),
    expiresMs: left === null ? undefined : performance.now() + Number(left),
  }))
}

export async function noteTokensUsed(sql: SqlExecutor, ids: readonly string[]): Promise<void> {
  await sql.query('update evt.tokens set used_at = clock_timestamp() where id = any ($1::bigint[])', [ids])
}
