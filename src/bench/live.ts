import { formatUs } from './figures.ts'
import { offeredPerSecond } from './plan.ts'
import type { BenchProgress } from './run.ts'

export interface LiveView {
  update(progress: BenchProgress): void
  /** Removes it from the terminal. */
  end(): void
}

interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** A few lines on stderr that are drawn over one another; nothing off a terminal. */
export function createLiveView(terminal: Terminal): LiveView {
  let lines = 0
  let last: { readonly atUs: number; readonly sent: number; readonly handled: number } | undefined
  const erase = () => (lines > 0 ? `\u001b[${lines}A\u001b[0J` : '')
  return {
    update(progress) {
      if (!terminal.isTTY) return
      const now = { atUs: progress.nowUs, ...totals(progress) }
      const text = renderLive(progress, last ?? now)
      last = now
      const cut = text.map((line) => line.slice(0, (terminal.columns || 80) - 1))
      terminal.write(`${erase()}${cut.join('\n')}\n`)
      lines = cut.length
    },
    end() {
      if (lines > 0) terminal.write(erase())
      lines = 0
    },
  }
}

function totals({ shared, tracker }: BenchProgress) {
  return { sent: shared.get('sent'), handled: Math.min(...tracker.handlers.map((book) => book.handled)) }
}

const barWidth = 24

/** Rates since `before`, percentiles since the warm-up. */
export function renderLive(
  progress: BenchProgress,
  before: { readonly atUs: number; readonly sent: number; readonly handled: number },
): string[] {
  const { phase, nowUs, workload, shared, tracker } = progress
  if (phase === 'ready') return ['evt bench  waiting until a probe event has reached every handler']
  const { sent, handled } = totals(progress)
  const seconds = Math.max(0.001, (nowUs - before.atUs) / 1e6)
  const rate = (now: number, then: number) => Math.round((now - then) / seconds)
  const done = Math.min(1, Math.max(0, nowUs / 1_000 / workload.endMs))
  const bar = `[${'='.repeat(Math.round(done * barWidth)).padEnd(barWidth)}]`
  const offered = offeredPerSecond(workload)
  return [
    `evt bench  ${offered === undefined ? 'max' : `${Math.round(offered)}/s`}  ${clockText(nowUs / 1e6)}/${clockText(workload.endMs / 1_000)}  ${bar}${phase === 'drain' ? '  draining' : ''}`,
    `sent ${rate(sent, before.sent)}/s  handled ${rate(handled, before.handled)}/s  open ${sent - handled} (oldest ${formatUs(tracker.oldestOpenUs(nowUs))})  late ${shared.get('late')}`,
    `${''.padEnd(24)}${['p50', 'p90', 'p99', 'max'].map((name) => name.padStart(9)).join('')}`,
    ...[
      { name: 'send lag', samples: shared.sendLag },
      { name: 'accept', samples: shared.accept },
      ...tracker.handlers.map((book) => ({ name: `e2e ${book.name}`, samples: book.e2e })),
    ].map(({ name, samples }) => {
      const cells = [0.5, 0.9, 0.99, 1].map((q) => {
        const us = samples.percentile(q)
        return (us === undefined ? '-' : formatUs(us)).padStart(9)
      })
      return `${name.slice(0, 24).padEnd(24)}${cells.join('')}`
    }),
  ]
}

function clockText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  return `${String(Math.floor(whole / 60)).padStart(2, '0')}:${String(whole % 60).padStart(2, '0')}`
}
