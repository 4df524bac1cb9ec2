import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../../core/errors.ts'
import { suggestion } from '../../core/suggest.ts'
import { renderTable } from '../../output/table.ts'
import type { Store } from '../../store/connection.ts'
import type { ProfileAnswer } from '../../store/profiles.ts'
import type { ProfileSummary } from '../../watch/profiling/read-profile.ts'
import { argument, defineCommand, text, value } from '../command.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, duration, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'

const { reason } = consentOptions
const defaultMs = 10_000
const [leastMs, mostMs] = [100, 300_000]
/** A bridge hears of it with its beat, once a second, and needs a moment for a long profile. */
const besideMs = 20_000
const lookEveryMs = 250

export default defineCommand({
  name: 'handlers profile',
  section: 'watch',
  summary: 'a CPU profile of every bridge that runs a handler, for the DevTools of Chromium or an editor',
  description: [
    'One file a bridge, of its whole process: the handler competes with what else runs there. IN HANDLER is the share of the time',
    "in the handler's own function and what it calls. The bridges go on meanwhile; they are a little slower.",
  ].join('\n'),
  examples: [
    {
      line: 'evt handlers profile icons.usage --for 10s',
      says: 'then open the file in the DevTools: Performance, load',
      needs: 'bridge',
    },
  ],
  args: { handler: argument({ says: 'from `evt handlers list`' }) },
  options: {
    for: value({ value: 'time', says: 'for how long, up to 5m', parse: duration, shownDefault: '10s' }),
    into: value({ value: 'folder', says: 'where the files go', parse: text, shownDefault: 'here' }),
    reason,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { handler }, options }, runtime) {
    const forMs = options.for ?? defaultMs
    if (forMs < leastMs || forMs > mostMs)
      throw new EvtError('usage', `cannot profile for so long: --for is from 100ms to 5m`)
    return withStore(runtime, { command: 'handlers profile', max: 2 }, async (store) => {
      const bridges = await bridgesOf(store, handler)
      runtime.output.notice(
        `profiling ${bridges.length} ${bridges.length === 1 ? 'bridge' : 'bridges'}: ${bridges.join(', ')}`,
      )
      const answers = await ask(store, runtime, { handler, forMs, bridges, reason: options.reason })
      if (runtime.signal.aborted) return undefined
      const files = await write(answers, { handler, folder: resolve(runtime.cwd, options.into ?? '.') })
      const silent = bridges.filter((bridge) => !answers.some(({ instance }) => instance === bridge))
      runtime.output.result({
        status: silent.length > 0 ? 'fail' : 'pass',
        data: { handler, forMs, profiles: files, silent },
        meta: { store: store.url },
        render: () => (files.length === 0 ? '' : render(files, runtime)),
      })
      for (const bridge of silent)
        runtime.output.warn(
          `${bridge} did not answer`,
          'it may have ended, be of an older version, or not reach the store',
        )
      for (const { instance, error } of files) if (error) runtime.output.warn(`${instance} took no profile: ${error}`)
      return silent.length > 0 || files.some(({ error }) => error) ? 'partial' : undefined
    })
  },
})

async function bridgesOf(store: Store, handler: string): Promise<readonly string[]> {
  const { readSnapshot } = await import('../../watch/read-snapshot.ts')
  const { readHandlerStates } = await import('../../store/handler-states.ts')
  const alive = (await readSnapshot(store)).instances.filter((one) => one.alive)
  const running = alive.filter(({ handlers }) => handlers.some((one) => one.handler === handler))
  if (running.length > 0) return running.map(({ instance }) => instance)
  const names = new Set([
    ...alive.flatMap(({ handlers }) => handlers.map((one) => one.handler)),
    ...(await readHandlerStates(store)).map((one) => one.handler),
  ])
  if (names.has(handler))
    throw new EvtError('refused', `cannot profile handler ${handler}: no bridge of ${store.url} runs it`, {
      hint: 'start one with `evt up`; `evt handlers list` shows who runs what',
    })
  throw new EvtError('usage', `cannot profile handler ${handler}: none of that name is known on ${store.url}`, {
    hint: suggestion(handler, [...names]) ?? 'see `evt handlers list`',
  })
}

interface Asked {
  readonly handler: string
  readonly forMs: number
  readonly bridges: readonly string[]
  readonly reason: string | undefined
}

/** Waits until all that live have answered, or for as long as they may need. */
async function ask(store: Store, { signal }: Runtime, asked: Asked): Promise<readonly ProfileAnswer[]> {
  const { readProfileAnswerers, requestProfile, takeProfiles } = await import('../../store/profiles.ts')
  const { readSnapshot } = await import('../../watch/read-snapshot.ts')
  const { handler, forMs, bridges, reason: why } = asked
  const id = randomUUID()
  const audit = await auditAs('handlers profile', { target: handler, reason: why, details: { forMs } })
  await requestProfile(store, { id, handler, forMs }, audit)
  const isAwaited = async () => {
    const answered = await readProfileAnswerers(store, id)
    const left = bridges.filter((bridge) => !answered.includes(bridge))
    if (left.length === 0) return false
    const { instances } = await readSnapshot(store)
    return left.some((bridge) => instances.some(({ instance, alive }) => alive && instance === bridge))
  }
  try {
    const endMs = performance.now() + forMs + besideMs
    while (!signal.aborted && performance.now() < endMs && (await isAwaited()))
      await delay(lookEveryMs, undefined, { signal }).catch(() => {})
  } catch (error) {
    await takeProfiles(store, id).catch(() => {})
    throw error
  }
  return takeProfiles(store, id)
}

interface Written extends Omit<ProfileAnswer, 'profile' | 'place'>, Partial<ProfileSummary> {
  readonly file: string | null
}

async function write(
  answers: readonly ProfileAnswer[],
  { handler, folder }: { readonly handler: string; readonly folder: string },
): Promise<readonly Written[]> {
  const { readProfile } = await import('../../watch/profiling/read-profile.ts')
  const written: Written[] = []
  await mkdir(folder, { recursive: true })
  for (const { profile, place, ...facts } of answers) {
    if (profile === null) {
      written.push({ ...facts, file: null })
      continue
    }
    const name = `${handler}.${facts.instance}`.replace(/[^\w.-]/g, '_')
    const file = join(folder, `${name}.cpuprofile`)
    await writeFile(file, profile)
    written.push({ ...facts, file, ...readProfile(profile, place) })
  }
  return written
}

const percent = (share: number | null | undefined) =>
  share === null || share === undefined ? undefined : `${(share * 100).toFixed(1)} %`

const columns = [
  { head: 'BRIDGE', cell: ({ instance }: Written) => instance },
  { head: 'HOST', cell: ({ host, pid }: Written) => `${host}/${pid}`, expendable: 1 },
  { head: 'HANDLED', cell: ({ handled }: Written) => String(handled) },
  { head: 'BUSY', cell: ({ busy }: Written) => percent(busy) },
  { head: 'IN HANDLER', cell: ({ inHandler }: Written) => percent(inHandler) },
  { head: 'FILE', cell: ({ file }: Written) => file ?? undefined, grows: true as const },
]

function render(files: readonly Written[], { output }: Runtime): string {
  const hottest = files.flatMap(({ instance, hottest: functions = [] }) => [
    `\nmost time of their own in ${instance}:`,
    ...functions.map(({ name, place, share }) => `  ${(percent(share) ?? '').padStart(7)}  ${name}  ${place}`),
  ])
  return `${renderTable(files, columns, output)}${hottest.join('\n')}\n`
}
