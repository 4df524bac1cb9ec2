import type { Compiled } from '../maker.ts'
import type { PlacedScenario } from './place.ts'
import type { Fill, Template } from './templates.ts'

/** A scenario as it runs: types, fields and names are looked up. */
export type Op = PublishOp | ThinkOp | ChooseOp | RepeatOp | ExpectOp

/** Numbers from `least` to `most`, both included. */
export interface Range {
  readonly least: number
  readonly most: number
}

export interface SetField {
  /** From the root of the event: `['data', 'items', '0', 'sku']`. */
  readonly path: readonly string[]
  readonly fill: Fill
}

export interface PublishOp {
  readonly kind: 'publish'
  readonly plan: Compiled
  readonly name: string | undefined
  readonly set: readonly SetField[]
  /** Ids that say which things the event is about, by field of the data. */
  readonly pins: readonly { readonly field: string; readonly fill: Fill }[]
  readonly addsUp: boolean
  readonly subject: Fill | undefined
  readonly causedBy: string | undefined
  readonly path: readonly (string | number)[]
  /** Whose step it is: perhaps of one that is included. */
  readonly origin: PlacedScenario
}

export interface ThinkOp {
  readonly kind: 'think'
  readonly ms: Range
}

export interface ChooseOp {
  readonly kind: 'choose'
  /** Upper ends of the shares, the last one 1. */
  readonly bounds: readonly number[]
  readonly ways: readonly (readonly Op[])[]
}

export interface RepeatOp {
  readonly kind: 'repeat'
  readonly times: Range
  readonly ops: readonly Op[]
  readonly path: readonly (string | number)[]
  /** Whose step it is: perhaps of one that is included. */
  readonly origin: PlacedScenario
}

export interface ExpectOp {
  readonly kind: 'expect'
  readonly pattern: string
  readonly where: Template | undefined
  readonly withinMs: number
  readonly path: readonly (string | number)[]
  /** Whose step it is: perhaps of one that is included. */
  readonly origin: PlacedScenario
}

/** An event that the system is to answer with. */
export interface Expectation {
  /** A type or a pattern. */
  readonly pattern: string
  /** References are filled in. */
  readonly where: string | undefined
  readonly withinMs: number
  /** `steps[3]`. */
  readonly step: string
}

/** Of every way through `ops` the one with the most of something. */
export function most(ops: readonly Op[], of: (op: PublishOp | ThinkOp | ExpectOp) => number): number {
  return ops.reduce((sum, op) => {
    if (op.kind === 'choose') return sum + Math.max(0, ...op.ways.map((way) => most(way, of)))
    if (op.kind === 'repeat') return sum + op.times.most * most(op.ops, of)
    return sum + of(op)
  }, 0)
}
