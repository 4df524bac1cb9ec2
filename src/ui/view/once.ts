import { type Model, panels } from '../state/model.ts'
import { rowCount } from '../state/rows.ts'
import { renderFrame } from './frame.ts'

/** One frame as plain text, as high as it has to be to show everything but the live tail: for an incident document. */
export function renderOnce(model: Model, columns: number): string {
  const rows = panels.reduce((sum, panel) => sum + (panel === 'tail' ? 0 : rowCount(model, panel) + 3), 12)
  const lines = renderFrame(model, { columns: Math.max(columns, 100), rows: Math.max(rows, 30) })
  const text = lines.slice(0, -1).map((line) =>
    line
      .map((piece) => piece.text)
      .join('')
      .trimEnd(),
  )
  const tail = text.findIndex((line) => line.includes('Live tail'))
  return (tail < 0 ? text : text.slice(0, tail)).join('\n').trimEnd()
}
