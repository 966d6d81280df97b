import { PieChartOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'budgets',
  title: { en: 'Budgets', 'zh-CN': '预算', 'zh-TW': '預算' },
  icon: PieChartOutlined,
  group: 'money',
  order: 55,
  need: 'read',
  load: () => import('./Budgets'),
});
