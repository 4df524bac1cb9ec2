import { hostname } from 'node:os'
import { toError } from '../../core/errors.ts'
import type { AnyHandlerDefinition, HandlerLog } from '../../handle/handler.ts'
import type { Store } from '../../store/connection.ts'
import { answerProfile, type ProfileAnswer, type ProfileRequest, readProfileRequests } from '../../store/profiles.ts'
import type { Recorder } from '../recorder.ts'
import { takeProfile } from './take-profile.ts'

export interface ProfilesOptions {
  readonly store: Store
  readonly instance: string
  /** Those whose functions are known; sagas and replays have others. */
  readonly handlers: readonly AnyHandlerDefinition[]
  readonly recorder: Pick<Recorder, 'sample'>
  readonly log: HandlerLog
}

const longestMs = 300_000

export interface Profiles {
  /** Somebody asks: looks for what, unless it is at it. */
  look(): void
  /** Ends a profile that is being taken. */
  stop(): Promise<void>
}

/** Takes the profiles of handlers that run here, one at a time. */
export function createProfiles(options: ProfilesOptions): Profiles {
  const { store, instance, recorder, log } = options
  const ending = new AbortController()
  let working: Promise<void> | undefined

  async function answerAll(): Promise<void> {
    for (const request of await readProfileRequests(store, instance)) {
      if (!recorder.sample().handlers.some(({ handler }) => handler === request.handler)) continue
      log.info('profiling', { handler: request.handler, forMs: request.forMs })
      await answerProfile(store, request, await answerOf(request, options, ending.signal))
    }
  }
  const onError = (error: unknown) =>
    log.warn('cannot answer who asks for a profile', { error: toError(error).message })
  return {
    look() {
      if (ending.signal.aborted) return
      working ??= answerAll()
        .catch(onError)
        .finally(() => {
          working = undefined
        })
    },
    async stop() {
      ending.abort()
      await working
    },
  }
}

async function answerOf(
  { handler, forMs }: ProfileRequest,
  { instance, recorder, handlers }: ProfilesOptions,
  signal: AbortSignal,
): Promise<ProfileAnswer> {
  const handled = () => recorder.sample().handlers.find((one) => one.handler === handler)?.handled ?? 0
  const before = handled()
  const facts = { instance, host: hostname(), pid: process.pid }
  const handle = handlers.find(({ name }) => name === handler)?.handle
  try {
    const taken = await takeProfile({ forMs: Math.min(forMs, longestMs), handle, signal })
    return { ...facts, handled: handled() - before, place: taken.place, profile: JSON.stringify(taken.profile) }
  } catch (error) {
    return { ...facts, handled: handled() - before, place: null, profile: null, error: toError(error).message }
  }
}
