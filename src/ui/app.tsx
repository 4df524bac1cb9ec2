import { useApp, useWindowSize } from 'ink'
import { type ReactNode, useEffect, useReducer } from 'react'
import { Lines } from './components/lines.tsx'
import { useKeys } from './components/use-keys.ts'
import { createModel } from './state/model.ts'
import { type Action, update } from './state/update.ts'
import { overlayOverflow, renderFrame } from './view/frame.ts'

export interface AppProps {
  /** Starts the feed; the returned function stops it. */
  readonly connect: (emit: (action: Action) => void) => () => void
  /** Gives the terminal to the shell; resolves when it is ours again. */
  readonly toShell: () => Promise<void>
  readonly color: boolean
}

/** The one stateful component: feed and keys go into `update`, the model comes out as lines. */
export function App({ connect, toShell, color }: AppProps): ReactNode {
  const [model, dispatch] = useReducer(update, undefined, createModel)
  const { columns, rows } = useWindowSize()
  const { exit, suspendTerminal } = useApp()
  // One row stays free: a frame as high as the terminal scrolls it.
  const size = { columns, rows: rows - 1 }
  const overflow = overlayOverflow(model, size)
  useEffect(() => connect(dispatch), [connect])
  useKeys(dispatch)
  useEffect(() => dispatch({ type: 'overflow', lines: overflow }), [overflow])
  useEffect(() => {
    if (model.suspensions > 0) void suspendTerminal(toShell)
  }, [model.suspensions, suspendTerminal, toShell])
  useEffect(() => {
    if (model.quitting) exit()
  }, [model.quitting, exit])
  return <Lines lines={renderFrame(model, size)} color={color} />
}
