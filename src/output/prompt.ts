import { createInterface } from 'node:readline/promises'
import { EvtError } from '../core/errors.ts'
import type { OutputFormat } from './output.ts'

export interface Prompter {
  /** Whether there is somebody to ask. */
  readonly possible: boolean
  /** Yes only for `y` or `yes`; everything else, the end of input included, is no. */
  confirm(question: string, flag: string): Promise<boolean>
  /** True when exactly `expected` was typed. */
  confirmByTyping(question: string, expected: string, flag: string): Promise<boolean>
}

interface PrompterOptions {
  readonly stdin: NodeJS.ReadStream
  readonly stderr: NodeJS.WriteStream
  readonly format: OutputFormat
  readonly signal: AbortSignal
}

/** Asks on stderr. Without a terminal on both ends, or with a machine reading stdout, it refuses and names the flag. */
export function createPrompter({ stdin, stderr, format, signal }: PrompterOptions): Prompter {
  const possible = stdin.isTTY === true && stderr.isTTY === true && format === 'text'
  const ask = async (question: string, flag: string): Promise<string> => {
    if (!possible) {
      const why = format === 'text' ? 'this is no terminal' : `the output is ${format}`
      throw new EvtError('refused', `cannot ask for consent: ${why}`, { hint: `add ${flag} to answer in advance` })
    }
    const lines = createInterface({ input: stdin, output: stderr })
    const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
    try {
      return await Promise.race([lines.question(question, { signal }), closed])
    } finally {
      lines.close()
    }
  }
  return {
    possible,
    async confirm(question, flag) {
      return /^y(es)?$/i.test((await ask(`${question} [y/N] `, flag)).trim())
    },
    async confirmByTyping(question, expected, flag) {
      return (await ask(`${question} `, flag)).trim() === expected
    },
  }
}
