// The form that makes a budget, or changes how much it is.

import { App, Form, Input, Select } from 'antd';
import { api, type Schemas } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { FormDialog } from '../../ui/FormDialog';
import { SubjectField } from '../../ui/SubjectField';
import { PointsField } from '../../ui/PointsField';
import { plainPoints } from '../../ui/points';
import { budgetTexts } from './texts';

type Budget = Schemas['Budget'];
export const SPANS = ['day', 'month', 'total'] as const;

interface Values {
  kind: 'user' | 'team';
  id: string;
  points: string;
  span: (typeof SPANS)[number];
  zone: string;
}

interface Props {
  readonly edited: Budget | 'new' | null;
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

export function BudgetForm({ edited, onClose, onSaved }: Props) {
  const t = useTexts(budgetTexts);
  const { message } = App.useApp();
  const budget = edited === 'new' ? null : edited;
  return (
    <FormDialog<Values>
      title={budget ? t.edit : t.create}
      isOpen={edited !== null}
      initial={{
        kind: 'user',
        id: '',
        points: budget ? plainPoints(budget.points_micros) : '',
        span: 'month',
        zone: '',
      }}
      submitText={budget ? undefined : t.create}
      onClose={onClose}
      onSubmit={async (values) => {
        const result = await save(budget, values);
        if (result.ok) {
          message.success(t.saved);
          await onSaved();
        }
        return result;
      }}
    >
      {budget ? null : <Whose />}
      <PointsField name="points" label={t.points} />
      {budget ? null : (
        <>
          <Form.Item name="span" label={t.span}>
            <Select options={SPANS.map((span) => ({ value: span, label: t[span] }))} />
          </Form.Item>
          <Form.Item name="zone" label={t.zone} extra={t.zoneHint}>
            <Input maxLength={64} autoComplete="off" />
          </Form.Item>
        </>
      )}
    </FormDialog>
  );
}

function Whose() {
  const t = useTexts(budgetTexts);
  const kind = Form.useWatch<Values['kind'] | undefined>('kind') ?? 'user';
  return (
    <>
      <Form.Item name="kind" label={t.whose}>
        <Select
          options={[
            { value: 'user', label: t.user },
            { value: 'team', label: t.team },
          ]}
        />
      </Form.Item>
      <SubjectField
        key={kind}
        name="id"
        kind={kind}
        label={t.id}
        extra={t.idHint}
        needed={t.idNeeded}
        autoFocus
      />
    </>
  );
}

function save(budget: Budget | null, values: Values) {
  const points = values.points.trim();
  if (budget) {
    const path = { budget_id: budget.id };
    return api.patch('/api/budgets/{budget_id}', { path, body: { points } });
  }
  const id = values.id.trim();
  const whose = values.kind === 'user' ? { user_id: id } : { team_id: id };
  const zone = values.zone.trim() ? { zone: values.zone.trim() } : {};
  return api.post('/api/budgets', { body: { ...whose, ...zone, points, span: values.span } });
}
