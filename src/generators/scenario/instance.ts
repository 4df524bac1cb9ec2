import type { EvtEvent } from '../../core/event.ts'
import type { Compiled } from '../maker.ts'
import { createCast, perform, type Stage } from './cast.ts'
import { formatPath } from './check-shape.ts'
import type { Expectation, Op, Range } from './program.ts'
import { fillExpression } from './templates.ts'

export interface PlayStage extends Stage {
  readonly speed: number
}

/** One run through a scenario. */
export interface Instance {
  readonly number: number
  readonly scenario: string
  dueMs: number
  /** Goes on to the next event or expectation, or to where time passes. Undefined at the end. */
  step(stage: PlayStage): { readonly event: EvtEvent; readonly plan: Compiled } | Expectation | 'waits' | undefined
}

interface Frame {
  readonly ops: readonly Op[]
  at: number
  /** How many times more after this one. */
  left: number
}

interface Start {
  readonly number: number
  readonly scenario: string
  readonly ops: readonly Op[]
  readonly tenant: string | undefined
  readonly dueMs: number
}

export function createInstance({ number, scenario, ops, tenant, dueMs }: Start): Instance {
  const frames: Frame[] = [{ ops, at: 0, left: 0 }]
  const cast = createCast(tenant)
  const next = (): Op | undefined => {
    for (let frame = frames.at(-1); frame; frame = frames.at(-1)) {
      const op = frame.ops[frame.at++]
      if (op) return op
      if (frame.left > 0) {
        frame.left -= 1
        frame.at = 0
      } else frames.pop()
    }
    return undefined
  }
  const instance: Instance = {
    number,
    scenario,
    dueMs,
    step(stage) {
      const { moment, speed } = stage
      for (let op = next(); op; op = next()) {
        switch (op.kind) {
          case 'publish': {
            // What comes next is later: its time tells so.
            instance.dueMs += 1
            return { event: perform(op, cast, stage), plan: op.plan }
          }
          case 'think': {
            const { least, most } = op.ms
            const ms = (least + moment.random() * (most - least)) / speed
            if (ms <= 0) break
            instance.dueMs += ms
            return 'waits'
          }
          case 'choose': {
            const drawn = moment.random()
            const way = op.ways[op.bounds.findIndex((bound) => drawn < bound)]
            if (way) frames.push({ ops: way, at: 0, left: 0 })
            break
          }
          case 'repeat': {
            const times = between(op.times, moment)
            if (times > 0) frames.push({ ops: op.ops, at: 0, left: times - 1 })
            break
          }
          case 'expect':
            return {
              pattern: op.pattern,
              where: op.where && fillExpression(op.where, (name) => cast.events.get(name)),
              withinMs: op.withinMs,
              step: formatPath(op.path),
            }
        }
      }
      return undefined
    },
  }
  return instance
}

const between = ({ least, most }: Range, { below }: { below(limit: number): number }): number =>
  least + below(most - least + 1)
