import { toError } from '../../core/errors.ts'
import type { Snapshot } from '../../watch/snapshot.ts'
import { heardBetween, windowBetween } from '../../watch/window.ts'
import { actionFor, type Key } from './keymap.ts'
import {
  type History,
  historyPoints,
  type Model,
  panels,
  sortKeys,
  type TailLine,
  tailLines,
  windowSnapshots,
} from './model.ts'
import { compileFilter, rowCount, selectedOf, tailRows } from './rows.ts'

export type Action =
  | { readonly type: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly type: 'events'; readonly lines: readonly TailLine[]; readonly skipped: number }
  | { readonly type: 'trouble'; readonly message: string }
  | { readonly type: 'key'; readonly key: Key }
  | { readonly type: 'overflow'; readonly lines: number }
  | { readonly type: 'move'; readonly by: number }
  | { readonly type: 'move-to'; readonly end: 'first' | 'last' }
  | { readonly type: 'type'; readonly text: string }
  | {
      readonly type:
        | 'toggle-help'
        | 'type-filter'
        | 'accept-filter'
        | 'cancel-filter'
        | 'erase'
        | 'toggle-pause'
        | 'focus-next'
        | 'focus-previous'
        | 'next-sort'
        | 'open-detail'
        | 'back'
        | 'suspend'
        | 'quit'
    }

/** The next model. Never throws; a filter that does not compile is kept in `typing` with the reason. */
export function update(model: Model, action: Action): Model {
  switch (action.type) {
    case 'snapshot':
      return model.paused ? { ...model, trouble: undefined } : withSnapshot(model, action.snapshot)
    case 'events':
      return withEvents(model, action.lines, action.skipped)
    case 'trouble':
      return { ...model, trouble: action.message }
    case 'key':
      return pressed(model, action.key)
    case 'overflow':
      return { ...model, overflow: action.lines, scroll: Math.min(model.scroll, action.lines) }
    case 'move':
      return moved(model, (at) => at + action.by)
    case 'move-to':
      return moved(model, () => (action.end === 'first' ? 0 : Number.MAX_SAFE_INTEGER))
    case 'type':
      return { ...model, typing: (model.typing ?? '') + action.text, filterError: undefined }
    case 'erase':
      return { ...model, typing: [...(model.typing ?? '')].slice(0, -1).join(''), filterError: undefined }
    case 'type-filter':
      return { ...model, typing: model.filter, overlay: undefined }
    case 'accept-filter':
      return withFilter(model, model.typing ?? '')
    case 'cancel-filter':
      return { ...model, typing: undefined, filterError: undefined }
    case 'toggle-help':
      return { ...model, overlay: model.overlay === 'help' ? undefined : 'help', scroll: 0 }
    case 'toggle-pause':
      return model.paused ? resumed(model) : { ...model, paused: { newEvents: 0 } }
    case 'focus-next':
      return focused(model, 1)
    case 'focus-previous':
      return focused(model, -1)
    case 'next-sort':
      return { ...model, sort: sortKeys[(sortKeys.indexOf(model.sort) + 1) % sortKeys.length] ?? 'name' }
    case 'open-detail':
      return withDetail(model)
    case 'back':
      return back(model)
    case 'suspend':
      return { ...model, suspensions: model.suspensions + 1 }
    case 'quit':
      return { ...model, quitting: true }
  }
}

/** What a key means depends on the model: several of one paste each meet the model that the one before has left. */
function pressed(model: Model, key: Key): Model {
  const action = actionFor(key, model.typing !== undefined)
  return action ? update(model, action) : model
}

/** Esc undoes the innermost thing: overlay, then filter, then pause. */
function back(model: Model): Model {
  if (model.overlay) return { ...model, overlay: undefined, scroll: 0 }
  if (model.filter !== '') return withFilter(model, '')
  return resumed(model)
}

/** What came during the pause is not in the tail: it counts as not shown. */
function resumed(model: Model): Model {
  return { ...model, paused: undefined, tailSkipped: model.tailSkipped + (model.paused?.newEvents ?? 0) }
}

function withDetail(model: Model): Model {
  const opened = selectedOf(model)
  return opened ? { ...model, overlay: 'detail', opened, scroll: 0 } : model
}

function focused(model: Model, by: number): Model {
  const next = (panels.indexOf(model.focus) + by + panels.length) % panels.length
  return { ...model, focus: panels[next] ?? 'handlers', overlay: undefined, scroll: 0 }
}

function moved(model: Model, to: (at: number) => number): Model {
  if (model.overlay) return { ...model, scroll: Math.max(0, Math.min(model.overflow, to(model.scroll))) }
  const last = Math.max(0, rowCount(model, model.focus) - 1)
  const at = Math.min(last, Math.max(0, to(Math.min(last, model.selected[model.focus]))))
  return { ...model, selected: { ...model.selected, [model.focus]: at } }
}

function withFilter(model: Model, filter: string): Model {
  try {
    compileFilter(filter)
  } catch (error) {
    return { ...model, typing: filter, filterError: toError(error).message }
  }
  const filtered = { ...model, filter: filter.trim(), typing: undefined, filterError: undefined }
  const newest = Math.max(0, tailRows(filtered).length - 1)
  return { ...filtered, selected: { handlers: 0, backlog: 0, dead: 0, tail: newest } }
}

function withSnapshot(model: Model, snapshot: Snapshot): Model {
  const previous = model.snapshots.at(-1)
  const snapshots = [...model.snapshots, snapshot].slice(-(windowSnapshots + 1))
  const base = snapshots.length > 1 ? snapshots[0] : undefined
  return {
    ...model,
    snapshots,
    window: windowBetween(base, snapshot),
    history: previous ? withPoint(model.history, previous, snapshot) : model.history,
    trouble: undefined,
  }
}

function withPoint(history: History, previous: Snapshot, snapshot: Snapshot): History {
  const step = windowBetween(previous, snapshot)
  const silent = !heardBetween(previous, snapshot)
  const push = (points: readonly number[] | undefined, events: number) => {
    const rate = silent ? (points?.at(-1) ?? 0) : Math.max(0, events / step.seconds)
    return [...(points ?? []), rate].slice(-historyPoints)
  }
  const total = (of: (handler: (typeof step.handlers)[number]) => number) =>
    step.handlers.reduce((sum, handler) => sum + of(handler), 0)
  return {
    sequencedPerSecond: push(history.sequencedPerSecond, step.sequenced),
    handledPerSecond: push(
      history.handledPerSecond,
      total((one) => one.handled),
    ),
    failedPerSecond: push(
      history.failedPerSecond,
      total((one) => one.failed),
    ),
    byHandler: new Map(
      step.handlers.map((one) => [one.handler, push(history.byHandler.get(one.handler), one.handled)] as const),
    ),
  }
}

function withEvents(model: Model, lines: readonly TailLine[], skipped: number): Model {
  const arrived = lines.length + skipped
  if (model.paused) return { ...model, paused: { newEvents: model.paused.newEvents + arrived } }
  const all = [...model.tail, ...lines]
  const tail = all.slice(-tailLines)
  const next = { ...model, tail, tailSkipped: model.tailSkipped + skipped }
  return { ...next, selected: { ...model.selected, tail: tailSelection(model, next) } }
}

/** The newest line stays selected while the operator has not moved away from it; an older one moves up with its line. */
function tailSelection(before: Model, after: Model): number {
  const was = tailRows(before)
  const are = tailRows(after)
  const at = before.selected.tail
  if (at >= was.length - 1) return Math.max(0, are.length - 1)
  return Math.max(0, are.indexOf(was[at] as TailLine))
}
