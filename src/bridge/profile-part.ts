import { settlesWithin } from '../store/close-within.ts'
import type { Profiles } from '../watch/profiling/profile-loop.ts'
import type { PartContext } from './part.ts'

const besideMs = 1_000

/** Answers who asks what the processor does while a handler runs: `evt handlers profile`. */
export async function openProfiling(context: PartContext): Promise<Profiles> {
  const { options, store, instance, recorder, calm, keep } = context
  const { createProfiles } = await import('../watch/profiling/profile-loop.ts')
  const handlers = [...(options.handlers ?? []), ...(options.services ?? []).flatMap((service) => service.handlers)]
  const profiles = createProfiles({ store, instance, handlers, recorder, log: calm })
  keep('the profiles', () => settlesWithin(profiles.stop(), besideMs))
  return profiles
}
