import { visible } from '../../core/visible.ts'
import { whyStopped } from '../../watch/why-stopped.ts'
import { stageNames } from '../../watch/window.ts'
import { bindings } from '../state/keymap.ts'
import { type Model, type Panel, panels } from '../state/model.ts'
import { rowCount } from '../state/rows.ts'
import { detailLines } from './detail.ts'
import { panelLines, stoppedMark } from './panels.ts'
import {
  age,
  blank,
  clip,
  clipLine,
  type Line,
  left,
  milliseconds,
  perSecond,
  type Size,
  short,
  span,
  sparkline,
} from './text.ts'

/** The terminal's last row stays free, so a terminal of 60×15 is the smallest. */
const smallest: Size = { columns: 60, rows: 14 }
const titles: Readonly<Record<Panel, string>> = {
  handlers: 'Handlers',
  backlog: 'Backlog',
  dead: 'Dead letters',
  tail: 'Live tail',
}

/** Exactly `size.rows` lines for the terminal, none wider than it. */
export function renderFrame(model: Model, size: Size): readonly Line[] {
  if (size.columns < smallest.columns || size.rows < smallest.rows) return tooSmall(size)
  const top = topLines(model, size.columns)
  const room = roomOf(model, size)
  const body = overlayLines(model, size.columns)?.slice(model.scroll) ?? stacked(model, size.columns, room)
  const filled = [...body.slice(0, room), ...Array.from({ length: Math.max(0, room - body.length) }, () => blank)]
  return [...top, ...filled, footerLine(model, size.columns)].map((line) => clipLine(line, size.columns))
}

/** Lines of the overlay that do not fit: as far as it can be scrolled. */
export function overlayOverflow(model: Model, size: Size): number {
  return Math.max(0, (overlayLines(model, size.columns)?.length ?? 0) - Math.max(1, roomOf(model, size)))
}

const topLines = (model: Model, columns: number) => [...headerLines(model, columns), ...noticeLines(model)]
/** Between the header and the footer. */
const roomOf = (model: Model, size: Size) => size.rows - topLines(model, size.columns).length - 1

function overlayLines(model: Model, columns: number): readonly Line[] | undefined {
  if (model.overlay === 'help') return helpLines(columns)
  return model.overlay === 'detail' ? detailLines(model, columns) : undefined
}

function tooSmall(size: Size): readonly Line[] {
  const says = `evt dash needs ${smallest.columns}×${smallest.rows + 1}, this is ${size.columns}×${size.rows + 1}`
  return Array.from({ length: Math.max(1, size.rows) }, (_, row) =>
    row === 0 ? [span(clip(says, size.columns), 'warn')] : blank,
  )
}

function headerLines(model: Model, columns: number): readonly Line[] {
  const snapshot = model.snapshots.at(-1)
  if (!snapshot) return [[span('evt dash', 'title'), span('  connecting …', 'dim')], blank]
  const alive = snapshot.instances.filter((one) => one.alive)
  const gone = snapshot.instances.length - alive.length
  const leader = alive.find((one) => one.leader)
  const { history } = model
  const last = (points: readonly number[]) => perSecond(points.at(-1) ?? 0)
  const graph = columns >= 120 ? 20 : columns >= 100 ? 8 : 0
  return [
    [
      span('evt dash', 'title'),
      span(`  ${snapshot.store.host}/${snapshot.store.database}`),
      span(`  bridges ${alive.length}`, alive.length > 0 ? 'good' : 'bad'),
      span(gone > 0 ? ` (${gone} gone)` : '', 'warn'),
      span(leader ? `  leader ${leader.instance}` : '  no leader', leader ? 'dim' : 'bad'),
      span(`  position ${snapshot.head.position}`, 'dim'),
    ],
    [
      span('in '),
      span(`${last(history.sequencedPerSecond)}/s `, 'title'),
      span(sparkline(history.sequencedPerSecond, graph), 'accent'),
      span('  handled '),
      span(`${last(history.handledPerSecond)}/s `, 'title'),
      span(sparkline(history.handledPerSecond, graph), 'accent'),
      span('  failed '),
      span(`${last(history.failedPerSecond)}/s`, (history.failedPerSecond.at(-1) ?? 0) > 0 ? 'bad' : 'dim'),
      span('  dead '),
      span(short(snapshot.dead.open), snapshot.dead.open > 0 ? 'bad' : 'dim'),
      span('  unsequenced '),
      span(`${short(snapshot.head.outboxPending)} (${age(snapshot.head.oldestPendingMs)})`, 'dim'),
    ],
    stageLine(model, columns),
  ]
}

/** In words where there is room, then with less and less around the figures. */
function stageLine(model: Model, columns: number): Line {
  const shapes = [['p50/p99 ms ', ' → '] as const, ['p50/p99 ms ', ' '] as const, ['', ' '] as const]
  const lines = shapes.map(([title, between]) => stageSpans(model, title, between))
  return lines.find((line) => line.reduce((sum, one) => sum + one.text.length, 0) <= columns) ?? lines.at(-1) ?? blank
}

function stageSpans({ window }: Model, title: string, between: string): Line {
  const spans = [span(title, 'dim')]
  for (const [index, name] of stageNames.entries()) {
    const stage = window?.stages[name]
    const p99 = stage?.percentile(0.99)
    if (index > 0) spans.push(span(between, 'dim'))
    spans.push(
      span(`${name} `, 'dim'),
      span(`${milliseconds(stage?.percentile(0.5))}/${milliseconds(p99)}`, (p99 ?? 0) > 100_000 ? 'warn' : 'plain'),
    )
  }
  return spans
}

/** The filter is always shown: nobody should wonder where rows went. */
function noticeLines(model: Model): readonly Line[] {
  const lines: Line[] = [...brokenLines(model)]
  if (model.trouble !== undefined) lines.push([span(`✖ what is shown is old: ${model.trouble}`, 'bad')])
  if (model.typing !== undefined) {
    lines.push([
      span('/', 'accent'),
      span(`${model.typing}▏`),
      span(model.filterError ? `  ${model.filterError.split('\n')[0]}` : '', 'bad'),
    ])
  } else if (model.filter !== '')
    lines.push([span('filter ', 'dim'), span(model.filter, 'accent'), span('  (Esc clears it)', 'dim')])
  if (model.paused)
    lines.push([span(`‖ PAUSED · ${short(model.paused.newEvents)} new`, 'warn'), span('  (Space goes on)', 'dim')])
  return lines
}

/** In a line each, whatever is scrolled or filtered: what is broken, or says so itself, is the first thing to know. */
function brokenLines({ snapshots }: Model): readonly Line[] {
  const latest = snapshots.at(-1)
  if (!latest) return []
  return (['broken', 'unhealthy'] as const).flatMap((state) => {
    const whys = latest.stopped.flatMap((one) => {
      if (one.state !== state) return []
      const why = whyStopped(one, Date.parse(latest.takenAt))
      return [why ? `${one.handler}, ${why}` : one.handler]
    })
    return whys.length === 0 ? [] : [[span(visible(`${stoppedMark[state]} ${state}: ${whys.join('; ')}`), 'bad')]]
  })
}

/** All panels one above the other: each gets a title and its share, the focused one the most. */
function stacked(model: Model, width: number, room: number): readonly Line[] {
  const shown = room >= 18 ? panels : panels.filter((panel) => panel === model.focus)
  const wanted = new Map(shown.map((panel) => [panel, Math.max(2, rowCount(model, panel) + 1)]))
  const heights = shareHeights(wanted, room - shown.length, model.focus)
  return shown.flatMap((panel) => [
    titleLine(model, panel, width),
    ...panelLines(model, panel, { width, height: heights.get(panel) ?? 0 }),
  ])
}

/** Everyone gets three lines first; then the focused panel what it wants; then the others; the tail takes the rest. */
function shareHeights(wanted: ReadonlyMap<Panel, number>, room: number, focus: Panel): ReadonlyMap<Panel, number> {
  const heights = new Map<Panel, number>()
  let rest = room
  const give = (panel: Panel, lines: number) => {
    const given = Math.max(0, Math.min(lines, rest))
    heights.set(panel, (heights.get(panel) ?? 0) + given)
    rest -= given
  }
  for (const [panel, lines] of wanted) give(panel, Math.min(3, lines))
  for (const panel of [focus, ...wanted.keys()])
    give(panel, Math.max(0, (wanted.get(panel) ?? 0) - (heights.get(panel) ?? 0)))
  give(wanted.has('tail') ? 'tail' : focus, rest)
  return heights
}

function titleLine(model: Model, panel: Panel, width: number): Line {
  const focused = model.focus === panel
  const extra =
    panel === 'handlers'
      ? ` · last ${Math.round(model.window?.seconds ?? 0)}s · committed → handled, ms · by ${model.sort}`
      : panel === 'tail' && model.tailSkipped > 0
        ? ` · ${short(model.tailSkipped)} not shown`
        : ''
  const text = `${focused ? '▌' : '│'} ${titles[panel]} ${rowCount(model, panel)}${extra}`
  return [span(left(text, width), focused ? 'title' : 'dim')]
}

function helpLines(columns: number): readonly Line[] {
  const keys = bindings.map((binding): Line => [span(`  ${left(binding.shown, 12)}`, 'accent'), span(binding.says)])
  return [
    [span('Keys', 'title')],
    ...keys,
    blank,
    [span('Filter: a word, or a where expression', 'title')],
    [span(clip("  handler ~ '^icons' and lag > 10    type == 'user.created'", columns))],
    blank,
    [span('Marks', 'title'), span('  ● healthy  ▲ degraded  ✖ failing, or unhealthy by its own word')],
    [span('         ‖ paused  ⊘ its breaker is open  ○ run by nobody')],
    [span(clip('  Latencies are of the last ten seconds, added over all bridges (never averaged).', columns), 'dim')],
  ]
}

function footerLine(model: Model, columns: number): Line {
  if (model.typing !== undefined)
    return [span('Enter', 'accent'), span(' filter  ', 'dim'), span('Esc', 'accent'), span(' cancel', 'dim')]
  const shown = bindings
    .filter((binding) => binding.footer !== undefined)
    .toSorted((a, b) => (a.footer ?? 0) - (b.footer ?? 0))
  const spans = shown.flatMap((binding) => [span(binding.shown, 'accent'), span(` ${binding.says}  `, 'dim')])
  let used = 0
  return spans.filter((one) => {
    used += one.text.length
    return used <= columns
  })
}
