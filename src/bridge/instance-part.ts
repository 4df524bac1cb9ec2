import { readFileSync } from 'node:fs'
import { toError } from '../core/errors.ts'
import type { Profiles } from '../watch/profiling/profile-loop.ts'
import type { PartContext } from './part.ts'

/** Tells once a second what this bridge does, and hears whether somebody asks for more. */
export async function startInstance(context: PartContext, roles: readonly string[]): Promise<void> {
  const { store, recorder, instance, calm, signal } = context
  const { createInstanceRegistry } = await import('../watch/instances.ts')
  const onError = (error: unknown) => {
    if (!signal.aborted) calm.warn('cannot tell how it goes', { error: toError(error).message })
  }
  const facts = { instance, roles, consumes: context.options.consume, version: ownVersion() }
  let profiles: Profiles | undefined
  const onAsked = () => profiles?.look()
  const registry = createInstanceRegistry({ store, recorder, ...facts, onAsked, onError })
  await registry.start()
  context.keep('the registry', () => registry.stop())
  if (!roles.includes('handlers')) return
  const { openProfiling } = await import('./profile-part.ts')
  profiles = await openProfiling(context)
}

export function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
