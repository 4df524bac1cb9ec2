import { parseExactly } from '../../core/json-text.ts'
import type { Masker } from '../../core/masker.ts'
import type { Scan } from '../../output/ending.ts'
import type { Runtime } from '../runtime.ts'
import { createRender } from './render.ts'
import { createReport, renderFlows } from './report.ts'
import type { TailOptions } from './run.ts'
import type { Seen, TailSource } from './source.ts'

export interface Presenter {
  /** False when it is not to be shown. */
  add(seen: Seen): boolean
  flush(): void | Promise<void>
  end(scan: Scan): void | Promise<void>
}

export type PresentOptions = TailOptions & { readonly masker: Masker | undefined }

export function createPresenter(options: PresentOptions, sources: readonly TailSource[], runtime: Runtime): Presenter {
  return options.report ? createTable(runtime) : createLines(options, sources, runtime)
}

function createLines(options: PresentOptions, sources: readonly TailSource[], { output, now }: Runtime): Presenter {
  const format = output.format
  const render = createRender({
    ...options,
    format,
    paint: output.paint,
    now,
    fields: options.fields ?? [],
    width: output.isTTY ? output.columns : undefined,
    badge: sources.length > 1 || sources.some(({ hasTopics }) => hasTopics),
  })
  let lines: string[] = []
  const write = () => {
    if (lines.length === 0 || format === 'json') return undefined
    const text = `${lines.join('\n')}\n`
    lines = []
    return output.write(text)
  }
  return {
    add(seen) {
      const line = render(seen)
      if (line !== undefined) lines.push(line)
      return line !== undefined
    },
    flush: write,
    async end(scan) {
      await write()
      if (format === 'json')
        output.result({ data: { events: lines.map(parseExactly) }, meta: { ...scan }, render: () => '' })
    },
  }
}

const redrawMs = 1_000

/** On a terminal drawn anew every second; elsewhere once, at the end. */
function createTable({ output }: Runtime): Presenter {
  const report = createReport()
  const live = output.isTTY && output.format === 'text'
  let height = 0
  const draw = () => {
    const text = renderFlows(report.flows(), output)
    void output.write(`${height > 0 ? `\u001b[${height}A\u001b[J` : ''}${text}`)
    height = text.split('\n').length - 1
  }
  const timer = live ? setInterval(draw, redrawMs) : undefined
  return {
    add(seen) {
      report.add(seen)
      return true
    },
    flush: () => undefined,
    end(scan) {
      clearInterval(timer)
      if (live) return draw()
      const flows = report.flows()
      output.result({ data: { flows }, meta: { ...scan }, render: () => renderFlows(flows, output) })
    },
  }
}
