// The headers that a route changes: a line each. A value that went in before is not shown again.

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, Input, Select } from 'antd';
import { useTexts } from '../../i18n/language';
import { DEEDS, type HeaderRow, isWithheld, NEW_HEADER } from './headers';
import type { Route } from './Routes';
import { routeTexts } from './texts';

interface Props {
  readonly field: 'request_headers' | 'response_headers';
  readonly title: string;
  readonly before: Route | null;
}

export function HeaderFields({ field: list, title, before }: Props) {
  const t = useTexts(routeTexts);
  return (
    <fieldset className="field-list">
      <legend>{title}</legend>
      <Form.List name={list}>
        {(fields, { add, remove }, { errors }) => (
          <>
            {fields.map((field) => (
              <div className="field-row" key={field.key}>
                <Row list={list} name={field.name} before={before} />
                <Button
                  type="text"
                  icon={<DeleteOutlined />}
                  aria-label={`${title}: ${t.removeRow(field.name + 1)}`}
                  onClick={() => {
                    remove(field.name);
                  }}
                />
              </div>
            ))}
            <Form.ErrorList errors={errors} />
            <Button
              icon={<PlusOutlined />}
              aria-label={`${title}: ${t.addHeader}`}
              onClick={() => {
                add(NEW_HEADER);
              }}
            >
              {t.addHeader}
            </Button>
            {fields.length > 1 ? <p className="muted">{t.headersHint}</p> : null}
          </>
        )}
      </Form.List>
    </fieldset>
  );
}

interface RowProps {
  readonly list: Props['field'];
  readonly name: number;
  readonly before: Route | null;
}

function Row({ list, name, before }: RowProps) {
  const t = useTexts(routeTexts);
  const row = Form.useWatch<HeaderRow | undefined>([list, name]);
  const deed = row?.deed ?? 'add';
  const isKept = deed === 'add' && isWithheld(row?.name ?? '', before?.[list]);
  const label = deed === 'rename' ? t.newName : t.value;
  return (
    <>
      <Form.Item name={[name, 'deed']} noStyle>
        <Select aria-label={t.deed} options={DEEDS.map((one) => ({ value: one, label: t[one] }))} />
      </Form.Item>
      <Form.Item name={[name, 'name']} noStyle>
        <Input aria-label={t.header} placeholder={t.header} maxLength={128} />
      </Form.Item>
      <Form.Item name={[name, 'value']} noStyle hidden={deed === 'remove'}>
        <Input
          aria-label={label}
          placeholder={isKept ? t.kept : label}
          maxLength={4096}
          autoComplete="off"
        />
      </Form.Item>
    </>
  );
}
