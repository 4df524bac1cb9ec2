import type { z } from 'zod'
import { EvtError } from '../../core/errors.ts'
import { type Cast, perform, type Stage } from './cast.ts'
import { exampleAt, formatPath } from './check-shape.ts'
import { problemAt } from './place.ts'
import type { Op, PublishOp } from './program.ts'
import { fillExpression } from './templates.ts'

interface Rehearsal extends Stage {
  /** Throws EvtError('usage') for what is no expression. */
  checkWhere(text: string): void
}

/** Goes every way through a scenario once: each event fits its contract, each expression can be read. Throws EvtError('config') with file and line. */
export function rehearse(ops: readonly Op[], stage: Rehearsal): void {
  const cast: Cast = {
    things: new Map(),
    byId: new Map(),
    events: new Map(),
    tenant: undefined,
    last: undefined,
    correlationId: undefined,
  }
  goThrough(ops, cast, stage)
}

function goThrough(ops: readonly Op[], cast: Cast, stage: Rehearsal): void {
  for (const op of ops) {
    if (op.kind === 'publish') {
      const { data } = perform(op, cast, stage)
      const result = op.plan.anatomy.contract.schema.safeParse(data)
      if (!result.success) throw unfit(op, result.error.issues[0])
    } else if (op.kind === 'choose') for (const way of op.ways) goThrough(way, cast, stage)
    else if (op.kind === 'repeat') goThrough(op.ops, cast, stage)
    else if (op.kind === 'expect' && op.where) {
      try {
        stage.checkWhere(fillExpression(op.where, (name) => cast.events.get(name)))
      } catch (error) {
        if (!(error instanceof EvtError)) throw error
        const path = [...op.path, 'where']
        throw problemAt(op.origin, {
          path,
          text: `${formatPath(path)}: ${error.message}`,
          hint: error.hint ?? exampleAt(path),
        })
      }
    }
  }
}

function unfit({ path, set, plan, origin }: PublishOp, issue: z.core.$ZodIssue | undefined): EvtError {
  const field = ['data', ...(issue?.path ?? [])].join('.')
  const given = set.find(({ path: to }) => field === to.join('.') || field.startsWith(`${to.join('.')}.`))
  const at = given ? [...path, 'set', given.path.join('.')] : [...path, 'publish']
  const { contract } = plan.anatomy
  const reason = `${field} does not fit ${contract.type} v${contract.version}: ${issue?.message}`
  const hint = given ? 'evt schema export says what fits' : `give it: set: { ${field}: … }`
  return problemAt(origin, { path: at, text: `${formatPath(at)}: ${reason}`, hint })
}
