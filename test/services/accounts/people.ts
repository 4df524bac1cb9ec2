import { randomUUID } from 'node:crypto'
import { aboutUser } from '../../../src/services/accounts/about-user.ts'
import { authLogin, authLoginFailed, userRegistered } from '../../../src/services/accounts/contracts.ts'
import type { Store } from '../../../src/store/connection.ts'
import { until } from '../../setup/until.ts'

/** A time that many seconds into the test's morning. */
export const at = (second: number): string => new Date(Date.UTC(2025, 10, 21, 8, 0, second)).toISOString()

interface Registered {
  readonly user_id?: string
  readonly username?: string
  readonly tenant_id?: string
  readonly country?: string
}

export const registers = ({ user_id = randomUUID(), username = user_id, ...more }: Registered = {}) =>
  aboutUser(userRegistered, {
    ...{
      user_id,
      username,
      email: `${user_id}@example.com`,
      roles: ['member'],
      registered_by: 'self_service' as const,
    },
    ...more,
  })

interface Place {
  readonly ip?: string
  readonly country?: string
  readonly second?: number
}

const place = ({ ip = '192.0.2.1', country = 'GB' }: Place) => ({ ip, country, user_agent: 'Firefox' })

export const logsIn = (user_id: string, from: Place = {}) => ({
  ...aboutUser(authLogin, { user_id, auth_data: { session_id: randomUUID(), ...place(from) } }),
  ...(from.second === undefined ? {} : { time: at(from.second) }),
})

export const failsToLogIn = (user_id: string, from: Place = {}) => {
  // More than the contract asks for, as publishers may send it.
  const auth_data = { session_id: randomUUID(), ...place(from) }
  const event = aboutUser(authLoginFailed, { user_id, auth_data, reason: 'wrong_password' })
  return { ...event, ...(from.second === undefined ? {} : { time: at(from.second) }) }
}

/** Data of the events of a type about a user, in the order of the log. */
export async function said(store: Store, type: string, userId: string): Promise<readonly Record<string, unknown>[]> {
  const { rows } = await store.query(
    "select data from evt.outbox where type = $1 and data ->> 'user_id' = $2 order by seq",
    [type, userId],
  )
  return rows.map(({ data }) => data as Record<string, unknown>)
}

export const untilSaid = (store: Store, { type }: { readonly type: string }, userId: string, times = 1) =>
  until(async () => ((await said(store, type, userId)).length >= times ? said(store, type, userId) : undefined), {
    withinMs: 20_000,
    what: `${type} about ${userId}`,
  })
