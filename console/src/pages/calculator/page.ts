import { CalculatorOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'calculator',
  title: { en: 'Calculator', 'zh-CN': '积分计算器', 'zh-TW': '點數計算機' },
  icon: CalculatorOutlined,
  group: 'money',
  order: 30,
  need: 'read',
  load: () => import('./Calculator'),
});
