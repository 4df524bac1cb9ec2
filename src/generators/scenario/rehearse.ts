import type { z } from 'zod'
import { encodeEvent } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import { type Cast, createCast, perform, type Stage } from './cast.ts'
import { exampleAt, formatPath } from './check-shape.ts'
import { problemAt } from './place.ts'
import type { Op, PublishOp } from './program.ts'
import { fillExpression } from './templates.ts'

interface Rehearsal extends Stage {
  /** Throws EvtError('usage') for what is no expression, and for a field that no event of the pattern has. */
  checkWhere(text: string, pattern: string): void
}

/** Goes every way through a scenario once: each event fits its contract and can be sent, each expression can be read. Throws EvtError('config') with file and line. */
export function rehearse(ops: readonly Op[], stage: Rehearsal): void {
  goThrough(ops, createCast(), stage)
}

function goThrough(ops: readonly Op[], cast: Cast, stage: Rehearsal): void {
  for (const op of ops) {
    if (op.kind === 'publish') {
      const event = perform(op, cast, stage)
      const result = op.plan.anatomy.contract.schema.safeParse(event.data)
      if (!result.success) throw unfit(op, result.error.issues[0])
      checkEnvelope(op, event)
    } else if (op.kind === 'choose') for (const way of op.ways) goThrough(way, cast, stage)
    else if (op.kind === 'repeat') goThrough(op.ops, cast, stage)
    else if (op.kind === 'expect' && op.where) {
      try {
        stage.checkWhere(
          fillExpression(op.where, (name) => cast.events.get(name)),
          op.pattern,
        )
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

/** What no sender would take. */
function checkEnvelope(op: PublishOp, event: EvtEvent): void {
  if (event.traceparent !== undefined && !traceparent.test(event.traceparent)) {
    const hint = 'as W3C Trace Context has it, 00-<32 hex>-<16 hex>-01; or leave it out'
    throw unsendable(op, 'traceparent is none', hint)
  }
  try {
    encodeEvent(event)
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    throw unsendable(op, error.message.replace(/^cannot encode [^:]*: /, ''), error.hint)
  }
}

const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/

/** `reason` begins with the field. */
function unsendable({ path, set, subject, origin }: PublishOp, reason: string, hint = ''): EvtError {
  const [field = ''] = reason.split(' ')
  const given = set.find(({ path: to }) => field === to.join('.') || field === to[0])
  const at = [...path, ...(given ? ['set', given.path.join('.')] : field === 'subject' && subject ? ['subject'] : [])]
  return problemAt(origin, { path: at, text: `${formatPath(at)}: ${reason}`, hint: hint || exampleAt(at) })
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
