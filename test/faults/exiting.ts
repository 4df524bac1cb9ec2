import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { slotOf } from '../../src/core/slot.ts'
import type { World } from './world.ts'

export interface ExitOptions {
  readonly subjects: number
  /** Of each subject, all there before the handler begins. */
  readonly events: number
  /** The event that is begun as the so-manyth ends the process, then and whenever it is begun again. */
  readonly dieAt: number
  /** Workers of the handler: each has a batch in hand when the process ends. */
  readonly concurrency: number
}

export interface ExitVerdict {
  /** How often the guilty event was begun, and ended its process. */
  readonly deaths: number
  /** The guilty one first; what its dead letter says. */
  readonly deadLetters: readonly { readonly guilty: boolean; readonly attempts: number }[]
  /** How often an innocent event was begun, at most. */
  readonly mostTries: number
  /** Subjects and lanes of the innocent ones that were begun more than once: the batch reached over so many. */
  readonly subjectsHit: number
  readonly lanesHit: number
  /** Innocent events with one effect. */
  readonly handledOnce: number
  readonly reordered: readonly string[]
}

const handler = 'faults.exiting'
/** Of a handler with up to sixteen workers. */
const lanes = 16
const within = 60_000

/** A handler ends its own process in the middle of a batch that reaches over subjects and lanes. */
export async function exitingHandler(world: World, options: ExitOptions): Promise<ExitVerdict> {
  await world.store.query(
    `select evt.publish('fault.exit', json_build_object('sequence', n), 'account/' || s)
     from generate_series(1, $2::int) n, generate_series(1, $1::int) s order by n, s`,
    [options.subjects, options.events],
  )
  let bridge = await startWithAllInHand(world, options)
  let restarts = 0
  const deadline = performance.now() + within
  while (performance.now() < deadline && !(await isDone(world, options))) {
    if (bridge.gone) {
      restarts += 1
      bridge = await world.startBridge(`exiting-${restarts}`, options)
    }
    await wait(50)
  }
  return judge(world)
}

/** Paused until every lane has been handed its events: then they go in batches over all of them. */
async function startWithAllInHand(world: World, options: ExitOptions) {
  await world.store.query(
    "insert into evt.handler_switches (handler, paused, changed_by) values ($1, true, 'faults')",
    [handler],
  )
  const bridge = await world.startBridge('exiting-0', options)
  const deadline = performance.now() + within
  const waiting = `
    select from (select slot % $2 as lane, max(position) as last from evt.log group by 1) wanted
    left join evt.lane_starts s on s.group_name = $1 and s.lane = wanted.lane
    where s.started_to is null or s.started_to < wanted.last`
  const total = options.subjects * options.events
  while (performance.now() < deadline) {
    const { rows: log } = await world.store.query('select evt.head()::int as head')
    if (Number(log[0]?.head) >= total && (await world.store.query(waiting, [handler, lanes])).rows.length === 0) break
    await wait(20)
  }
  await world.store.query('delete from evt.handler_switches')
  return bridge
}

async function isDone(world: World, options: ExitOptions): Promise<boolean> {
  const { rows } = await world.store.query(
    'select (select count(*) from faults.effects)::int as done, (select count(*) from evt.dead_letters)::int as dead',
  )
  return Number(rows[0]?.done) + Number(rows[0]?.dead) >= options.subjects * options.events
}

async function judge(world: World): Promise<ExitVerdict> {
  const { store, attemptsFile } = world
  const starts = existsSync(attemptsFile) ? readFileSync(attemptsFile, 'utf8').split('\n').filter(Boolean) : []
  const [guilty = ''] = existsSync(`${attemptsFile}.guilty`) ? [readFileSync(`${attemptsFile}.guilty`, 'utf8')] : []
  const tries = Map.groupBy(starts, (id) => id)
  const innocent = [...tries].filter(([id]) => id !== guilty)
  const { rows: letters } = await store.query(
    'select event_id, jsonb_array_length(attempts) as attempts from evt.dead_letters order by event_id <> $1',
    [guilty],
  )
  const { rows: events } = await store.query('select id, subject from evt.outbox')
  const subjects = new Map(events.map((event) => [String(event.id), String(event.subject)]))
  const hit = innocent.filter(([, all]) => all.length > 1).map(([id]) => subjects.get(id) ?? '')
  const { rows: effects } = await store.query('select event_id, subject, sequence::int from faults.effects order by id')
  return {
    deaths: tries.get(guilty)?.length ?? 0,
    deadLetters: letters.map((row) => ({ guilty: row.event_id === guilty, attempts: Number(row.attempts) })),
    mostTries: Math.max(0, ...innocent.map(([, all]) => all.length)),
    subjectsHit: new Set(hit).size,
    lanesHit: new Set(hit.map((subject) => slotOf(subject) % lanes)).size,
    handledOnce: onlyOnce(effects.map((effect) => String(effect.event_id))),
    reordered: falling(effects as unknown as readonly Effect[]),
  }
}

interface Effect {
  readonly event_id: string
  readonly subject: string
  readonly sequence: number
}

function onlyOnce(ids: readonly string[]): number {
  return [...Map.groupBy(ids, (id) => id).values()].filter((same) => same.length === 1).length
}

/** The guilty one leaves a gap. */
function falling(effects: readonly Effect[]): string[] {
  const last = new Map<string, number>()
  return effects.flatMap(({ subject, sequence }) => {
    const before = last.get(subject) ?? 0
    last.set(subject, sequence)
    return sequence > before ? [] : [`${subject}: ${before} → ${sequence}`]
  })
}
