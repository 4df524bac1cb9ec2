import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { constants, createGunzip } from 'node:zlib'
import { fromCloudEvent } from '../../core/codec.ts'
import { EvtError, toError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Registry } from '../../core/registry.ts'
import { createLearner, type Profile } from '../../generators/learn/profile.ts'
import { isContractType } from '../../generators/learn/write-contracts.ts'
import { readNdjson } from '../../generators/read-ndjson.ts'
import { openInput } from '../line/input.ts'
import type { Runtime } from '../runtime.ts'

/**
 * What recorded traffic is like: CloudEvents as NDJSON, gzipped or not, as `evt tail -o ndjson` prints them. What is no event is passed over, and
 * told. Throws EvtError('decode') when there is none at all.
 */
export async function learnFrom(file: string, registry: Registry | undefined, runtime: Runtime): Promise<Profile> {
  const input = await openInput(file === '-' ? file : resolve(runtime.cwd, file), runtime.stdin)
  const learner = createLearner(
    (type, path) => registry?.sensitivePaths(type).some((marked) => marked === `data.${path}`) ?? false,
  )
  const skipped = { count: 0, first: '' }
  const skip = (reason: string) => {
    skipped.count += 1
    skipped.first ||= reason
  }
  const bytes = unzipped(input.bytes, (cause) => skip(`it is gzipped, and damaged: ${toError(cause).message}`))
  for await (const { line, value } of readNdjson(bytes, (error) => skip(reasonIn(error)))) {
    try {
      learner.see(fromCloudEvent(value), recordedMs(value))
    } catch (error) {
      if (!(error instanceof EvtError)) throw error
      skip(`line ${line}: ${reasonIn(error)}`)
    }
  }
  const profile = learner.profile()
  if (profile.events === 0) {
    const why =
      skipped.count > 0 ? `none of ${counted(skipped.count, 'line')} is an event (${skipped.first})` : 'it is empty'
    throw new EvtError('decode', `cannot learn from ${input.name}: ${why}`, {
      hint: "record some: evt tail '*' --since 1h --no-follow -o ndjson > traffic.ndjson",
    })
  }
  const isKnown = (type: string) => registry?.get(type) !== undefined
  const left = [...profile.types].flatMap(([type, { data }]) =>
    isKnown(type) || (isContractType(type) && data.fields) ? [] : [type],
  )
  if (left.length === profile.types.size) {
    throw new EvtError('decode', `cannot learn from ${input.name}: no contract can be made for ${left.join(', ')}`, {
      hint: 'a type is lower-case words joined by dots, user.created, and its data an object',
    })
  }
  if (left.length > 0) runtime.output.warn(`left out, as no contract can be made for it: ${left.join(', ')}`)
  if (skipped.count > 0) {
    runtime.output.warn(
      `${input.name}: passed over ${counted(skipped.count, 'line')} that ${skipped.count === 1 ? 'is no event' : 'are no events'}; the first: ${skipped.first}`,
    )
  }
  runtime.output.notice(
    `learned from ${counted(profile.events, 'event')} of ${counted(profile.types.size, 'type')} about ${counted(profile.subjects, 'subject')}`,
  )
  return profile
}

const counted = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`

const reasonIn = ({ message }: Error): string => message.replace(/^cannot (read|decode)( event)?:? ?/, '')

/** When it was taken, as far as the recording says; else when it happened. */
function recordedMs(value: unknown): number {
  const { evt, time } = value as { readonly evt?: { readonly recordedAt?: unknown }; readonly time?: unknown }
  const at = Date.parse(String(evt?.recordedAt ?? time))
  return Number.isNaN(at) ? 0 : at
}

/** Of what is damaged as much as can be read; of what is broken off all there is. */
async function* unzipped(
  bytes: AsyncIterable<Uint8Array>,
  onDamage: (cause: unknown) => void,
): AsyncGenerator<Uint8Array> {
  const reader = bytes[Symbol.asyncIterator]()
  const first = await reader.next()
  if (first.done) return
  const all = (async function* () {
    yield first.value
    for (let next = await reader.next(); !next.done; next = await reader.next()) yield next.value
  })()
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) {
    yield* all
    return
  }
  const { Readable: readable } = await import('node:stream')
  const plain: Readable = readable.from(all).pipe(createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }))
  try {
    yield* plain
  } catch (cause) {
    onDamage(cause)
  }
}
