import { describe, inject } from 'vitest'
import { type ServerName, serverFacts } from './server-names.ts'

/** Whether this run has the server; a missing one was reported, with what to type. */
export function hasServer(name: ServerName): boolean {
  return inject('servers').available.includes(name)
}

/** Whether a test can start one of its own (`startPrivateRedis` and so on). */
export function canStart(name: ServerName): boolean {
  return inject('servers').startable.includes(name)
}

/** A suite that needs the run's server; skipped, and counted as skipped, where it is missing. */
export function describeWith(name: ServerName, title: string, suite: () => void): void {
  describe.skipIf(!hasServer(name))(`${title} with ${serverFacts[name].title}`, suite)
}

/** A suite that starts servers of its own; skipped, and counted as skipped, where their programs are missing. */
export function describeWithOwn(name: ServerName, title: string, suite: () => void): void {
  describe.skipIf(!canStart(name))(`${title} with its own ${serverFacts[name].title}`, suite)
}

/**
 * The URL of this run's server, which every test shares: use names of your own on it, and leave it running. PostgreSQL: database
 * `postgres`, superuser. Started by the first who asks.
 */
export async function serverUrl(name: ServerName = 'postgres-18'): Promise<string> {
  const response = await fetch(`${inject('servers').door}/${name}`)
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}
