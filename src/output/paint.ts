import { styleText } from 'node:util'

export type Style = Parameters<typeof styleText>[0]
/** Text with a style, or the text itself where colour is off. */
export type Paint = (style: Style, text: string) => string

export type ColorChoice = 'auto' | 'always' | 'never'

interface ColorQuestion {
  readonly choice: ColorChoice
  readonly isTTY: boolean
  readonly env: Readonly<Record<string, string | undefined>>
}

/** `--color` decides; else NO_COLOR, then FORCE_COLOR, then whether it is a terminal that can. */
export function wantsColor({ choice, isTTY, env }: ColorQuestion): boolean {
  if (choice !== 'auto') return choice === 'always'
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  return isTTY && env.TERM !== 'dumb'
}

export function createPaint(enabled: boolean): Paint {
  return enabled ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text
}

const palette = ['cyan', 'yellow', 'green', 'magenta', 'blue', 'cyanBright', 'yellowBright', 'greenBright'] as const

/** The same colour for the same name, run after run: what a reader recognises a topic by, beside its name. */
export function colorOf(name: string): Style {
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) | 0
  return palette[Math.abs(hash) % palette.length] as Style
}
