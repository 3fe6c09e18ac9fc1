// The host: it holds the frame, passes calls on to the server, and talks to the model.

import { App, applyDocumentTheme, applyHostStyleVariables } from "@modelcontextprotocol/ext-apps";
import type { CallToolResult } from "@modelcontextprotocol/client";

export type Arguments = Record<string, unknown>;

export type Meta = Record<string, unknown>;

export interface Failure {
  kind: "failure";
  text: string;
  meta?: Meta;
}

/** Returns the stable name of the kind of failure, undefined where the server did not answer. */
export function kindOf(failure: Failure): string | undefined {
  const kind = failure.meta?.["roadster-mcp/failure"];
  return typeof kind === "string" ? kind : undefined;
}

export type Outcome<Answer> = { kind: "answer"; answer: Answer } | Failure;

export interface Listener<Answer> {
  /** The arguments with which the model called the tool. */
  onArguments(args: Arguments): void;
  onOutcome(outcome: Outcome<Answer>): void;
}

const VERSION = "1";

export class Host<Answer> {
  private readonly app: App;

  constructor(name: string, listener: Listener<Answer>) {
    this.app = new App({ name: `roadster-${name}`, version: VERSION }, {});
    this.app.ontoolinput = ({ arguments: args }) => listener.onArguments(args ?? {});
    this.app.ontoolresult = (result) => listener.onOutcome(outcomeOf(result as CallToolResult));
    this.app.ontoolcancelled = ({ reason }) =>
      listener.onOutcome({ kind: "failure", text: `The call was cancelled${reason ? `: ${reason}` : ""}.` });
    this.app.onhostcontextchanged = () => this.follow();
    this.app.onteardown = () => ({});
  }

  async connect(): Promise<void> {
    await this.app.connect();
    this.follow();
  }

  /** Calls a tool of the server. Whatever goes wrong becomes a failure in words. */
  async call<Other = Answer>(tool: string, args: Arguments, meta?: Meta): Promise<Outcome<Other>> {
    try {
      const params = { name: tool, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) };
      return outcomeOf(await this.app.callServerTool(params));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { kind: "failure", text: `The server could not be reached. Try again in a moment. (${reason})` };
    }
  }

  /** Tells the model what the person chose. It reads it with the person's next message. */
  async tell(text: string, facts: Record<string, unknown>): Promise<void> {
    if (this.app.getHostCapabilities()?.updateModelContext === undefined) return;
    try {
      await this.app.updateModelContext({ content: [{ type: "text", text }], structuredContent: facts });
    } catch {
      // The person still sees the choice, and can say it.
    }
  }

  /** Writes the text of the person's next message. Returns whether the host took it. Some take it without saying so. */
  async write(text: string): Promise<boolean> {
    try {
      const { isError } = await this.app.sendMessage({ role: "user", content: [{ type: "text", text }] });
      return isError !== true;
    } catch {
      return false;
    }
  }

  private follow(): void {
    const context = this.app.getHostContext();
    if (context?.theme) applyDocumentTheme(context.theme);
    if (context?.styles?.variables) applyHostStyleVariables(context.styles.variables);
  }
}

function outcomeOf<Answer>(result: CallToolResult): Outcome<Answer> {
  const text = result.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
  if (result.isError) {
    return { kind: "failure", text: text || "The call failed, and the server did not say why.", meta: result._meta ?? {} };
  }
  if (result.structuredContent === undefined) {
    return { kind: "failure", text: text || "The host passed on an answer without its figures." };
  }
  return { kind: "answer", answer: result.structuredContent as Answer };
}
