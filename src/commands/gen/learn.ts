import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { fromCloudEvent } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Registry } from '../../core/registry.ts'
import { createLearner, type Profile } from '../../generators/learn/profile.ts'
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
  for await (const { line, value } of readNdjson(unzipped(input.bytes), (error) => skip(reasonIn(error)))) {
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
      skipped.count > 0 ? `none of ${formatCount(skipped.count)} lines is an event (${skipped.first})` : 'it is empty'
    throw new EvtError('decode', `cannot learn from ${input.name}: ${why}`, {
      hint: "record some: evt tail '*' --since 1h --no-follow -o ndjson > traffic.ndjson",
    })
  }
  if (skipped.count > 0) {
    runtime.output.warn(
      `${input.name}: passed over ${formatCount(skipped.count)} lines that are no events; the first: ${skipped.first}`,
    )
  }
  runtime.output.notice(
    `learned from ${formatCount(profile.events)} events of ${profile.types.size} types about ${formatCount(profile.subjects)} subjects`,
  )
  return profile
}

const reasonIn = ({ message }: Error): string => message.replace(/^cannot (read|decode)( event)?:? ?/, '')

/** When it was taken, as far as the recording says; else when it happened. */
function recordedMs(value: unknown): number {
  const { evt, time } = value as { readonly evt?: { readonly recordedAt?: unknown }; readonly time?: unknown }
  const at = Date.parse(String(evt?.recordedAt ?? time))
  return Number.isNaN(at) ? 0 : at
}

async function* unzipped(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
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
  const plain: Readable = readable.from(all).pipe(createGunzip())
  try {
    yield* plain
  } catch (cause) {
    throw new EvtError('decode', 'cannot learn from it: it is gzipped, and broken off or damaged', { cause })
  }
}
