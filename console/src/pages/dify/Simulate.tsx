// The form that makes events up, the check before it, and the ways to misuse it.

import { BalanceProtection } from '@tallygate/react';
import { AutoComplete, Button, InputNumber, Space } from 'antd';
import { type ReactNode, useId, useState } from 'react';
import { useRead } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { Panel } from '../../ui/Panel';
import { type Draft, makeUp, makeUpForged, makeUpMany, type MadeUp } from './events';
import { difyTexts } from './texts';

const TOKENS_MAX = 5_000_000;
const FLOOD = 1_000;

interface Props {
  readonly isListening: boolean;
  /** Lets the frame say these. */
  readonly say: (events: readonly MadeUp[]) => void;
}

export function Simulate({ isListening, say }: Props) {
  const t = useTexts(difyTexts);
  const { language } = useLanguage();
  const [draft, setDraft] = useState<Draft>({
    modelName: 'gpt-4',
    inputTokens: 1000,
    outputTokens: 500,
  });
  const [last, setLast] = useState<MadeUp | null>(null);
  const [isAsking, setIsAsking] = useState(false);
  const simulate = (): void => {
    const made = makeUp(draft);
    setLast(made);
    say([made]);
  };
  return (
    <Panel title={t.event}>
      <Fields draft={draft} onChange={setDraft} />
      <Space wrap style={{ marginTop: 14 }}>
        <Button type="primary" disabled={!isListening} onClick={simulate}>
          {t.simulate}
        </Button>
        <Button
          disabled={!isListening}
          onClick={() => {
            setIsAsking(true);
          }}
        >
          {t.ask}
        </Button>
        <Button
          disabled={!isListening || last === null}
          onClick={() => {
            if (last) say([last]);
          }}
        >
          {t.again}
        </Button>
      </Space>
      <Misuse isListening={isListening} draft={draft} say={say} />
      {isAsking ? (
        <BalanceProtection
          modelName={draft.modelName}
          estimatedInputTokens={draft.inputTokens}
          estimatedOutputTokens={draft.outputTokens}
          locale={language}
          onProceed={() => {
            setIsAsking(false);
            simulate();
          }}
          onCancel={() => {
            setIsAsking(false);
          }}
        />
      ) : null}
    </Panel>
  );
}

function Misuse({ isListening, draft, say }: Props & { readonly draft: Draft }) {
  const t = useTexts(difyTexts);
  return (
    <>
      <h3 style={{ marginTop: 18 }}>{t.misuse}</h3>
      <p className="muted">{t.misuseHint}</p>
      <Space wrap style={{ marginTop: 8 }}>
        <Button
          disabled={!isListening}
          onClick={() => {
            window.postMessage(makeUp(draft), window.location.origin);
          }}
        >
          {t.stranger}
        </Button>
        <Button
          disabled={!isListening}
          onClick={() => {
            say(makeUpForged(draft));
          }}
        >
          {t.forged}
        </Button>
        <Button
          disabled={!isListening}
          onClick={() => {
            say(makeUpMany(draft, FLOOD));
          }}
        >
          {t.flood}
        </Button>
      </Space>
    </>
  );
}

interface FieldsProps {
  readonly draft: Draft;
  readonly onChange: (draft: Draft) => void;
}

function Fields({ draft, onChange }: FieldsProps) {
  const t = useTexts(difyTexts);
  const mayRead = useMay('read'); // members type the name of a model
  const models = useRead('/api/models', { query: { limit: 1000 }, enabled: mayRead });
  const names = models.data?.items.map((model) => model.model_name) ?? [];
  return (
    <Space wrap size="middle">
      <Labelled label={t.model}>
        {(id) => (
          <AutoComplete
            id={id}
            style={{ width: 240 }}
            value={draft.modelName}
            options={names.map((value) => ({ value }))}
            showSearch={{ filterOption: (typed, one) => String(one?.value ?? '').includes(typed) }}
            onChange={(modelName: string) => {
              onChange({ ...draft, modelName });
            }}
          />
        )}
      </Labelled>
      {(['inputTokens', 'outputTokens'] as const).map((field) => (
        <Labelled key={field} label={field === 'inputTokens' ? t.input : t.output}>
          {(id) => (
            <InputNumber
              id={id}
              min={0}
              max={TOKENS_MAX}
              precision={0}
              value={draft[field]}
              onChange={(tokens) => {
                onChange({ ...draft, [field]: tokens ?? 0 });
              }}
            />
          )}
        </Labelled>
      ))}
    </Space>
  );
}

interface LabelledProps {
  readonly label: string;
  readonly children: (id: string) => ReactNode;
}

function Labelled({ label, children }: LabelledProps) {
  const id = useId();
  return (
    <div>
      <label htmlFor={id} style={{ display: 'block' }}>
        {label}
      </label>
      {children(id)}
    </div>
  );
}
